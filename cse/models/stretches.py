"""Separating a recording at several speeds, and taking the mean of what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np

from cse.errors import CheckpointError
from cse.models.overlapping_windows import Separate, at_training_level, levelled
from cse.resampling import resample

_MOST = 4
_FINEST = 20  # of a speed's denominator: 1.1 is 11 / 10


def stretches_of(config: Mapping[str, Any], name: str) -> tuple[float, ...]:
    """What the config of a checkpoint says under `stretches`; a single pass where it says nothing.

    Raises:
        CheckpointError: If that is no list of one to four factors from 0.5 to 2.

    >>> stretches_of({"stretches": [1, 1.1]}, "separator-16k")
    (1.0, 1.1)
    """
    stretches = config.get("stretches", [1.0])
    if (
        not isinstance(stretches, list)
        or not 1 <= len(stretches) <= _MOST
        or not all(isinstance(one, int | float) and 0.5 <= one <= 2 for one in stretches)
    ):
        raise CheckpointError(
            f"{name}: got stretches {stretches!r}, expected a list of one to {_MOST} factors from 0.5 to 2; "
            "correct its config.json"
        )
    return tuple(map(float, stretches))


def at_stretches(separate: Separate, stretches: Sequence[float]) -> Separate:
    """Separate what is slowed down and sped up, too, and take the mean (test-time augmentation).

    Where two voices are alike, a network is torn between who is who, and goes wrong at other moments when the same
    sound is a little slower and lower. A mean over both is nearer to the talkers than either.

    Args:
        separate: (T,) float32 mixture with a peak of 0.9 -> (S, T) float32 estimates of any level.
        stretches: How many times as long the mixture is made, e.g. 1 and 1.1; the first one names the talkers.

    Returns:
        The same for the mean over all stretches. It takes as long as all of them.

    >>> talkers = np.random.default_rng(0).standard_normal((2, 8000))
    >>> both = at_stretches(lambda mixture: np.stack([mixture, 0 * mixture]), (1.0, 1.1))
    >>> both(talkers.sum(0).astype(np.float32)).shape
    (2, 8000)
    """
    if tuple(stretches) == (1.0,):
        return separate
    factors = [Fraction(stretch).limit_denominator(_FINEST) for stretch in stretches]

    def separate_all(mixture: np.ndarray) -> np.ndarray:
        total = _stretched(separate, mixture, factors[0])
        first = total.copy()
        for factor in factors[1:]:
            total += _in_order_of(first, _stretched(separate, mixture, factor))
        return total / np.float32(len(factors))

    return separate_all


def _stretched(separate: Separate, mixture: np.ndarray, factor: Fraction) -> np.ndarray:
    slowed = resample(mixture, factor.denominator, factor.numerator)
    estimates = levelled(separate(at_training_level(slowed)), slowed)
    # both rates are rounded up, so that nothing is missing
    return resample(estimates, factor.numerator, factor.denominator)[:, : len(mixture)]


def _in_order_of(first: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """(S, T) in the order in which they go best with those of `first`."""
    products = first @ estimates.T
    rows = np.arange(len(first))
    best = max(permutations(range(len(first))), key=lambda order: float(products[rows, list(order)].sum()))
    ordered: np.ndarray = estimates[list(best)]
    return ordered
