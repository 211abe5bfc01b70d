"""What many items say together: confidence intervals, calibration, and how risk grows with coverage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

import numpy as np

Stated: TypeAlias = Sequence[float] | np.ndarray
Outcomes: TypeAlias = Sequence[bool] | np.ndarray

Z_95 = 1.959963984540054  # 97.5 % quantile of the normal distribution


def wilson_interval(successes: float, trials: int, *, z: float = Z_95) -> tuple[float, float]:
    """95 % interval of a proportion that stays inside [0, 1] and is honest for few trials: Wilson, 1927.

    No trial at all leaves everything possible: (0.0, 1.0). Successes may be an expected number.

    >>> low, high = wilson_interval(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    half_width = z * sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    return max(0.0, (centre - half_width) / scale), min(1.0, (centre + half_width) / scale)


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, *, seed: int, resamples: int = 1000
) -> tuple[float, float] | None:
    """95 % percentile-bootstrap interval of the mean of `values` (N,); None for fewer than two values.

    The same values and seed give the same interval.

    >>> low, high = bootstrap_interval([10.0, 11.0, 12.0, 13.0] * 25, seed=0)
    >>> low < 11.5 < high and high - low < 0.5
    True
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return None
    rng = np.random.default_rng(seed)
    # one draw at a time: an array of resamples × N would not fit memory for the long test lists
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(resamples)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_of(
    statistic: Callable[..., float | None], *samples: np.ndarray, seed: int, resamples: int = 1000
) -> tuple[float, float] | None:
    """95 % percentile-bootstrap interval of what `statistic` makes of independent samples of items.

    Args:
        statistic: is given each sample with its rows drawn anew; None leaves that draw out.
        samples: (N, ...) each, one row an item; what belongs together is in one row.
        seed: decides the draws.
        resamples: how many of them.

    Returns:
        None where a sample has fewer than two rows, or the statistic has no value in any draw.

    >>> bootstrap_of(lambda rows: rows.max(), np.array([1.0, 1.0, 1.0]), seed=0)
    (1.0, 1.0)
    """
    if any(len(sample) < 2 for sample in samples):
        return None
    rng = np.random.default_rng(seed)
    drawn = (
        statistic(*(sample[rng.integers(len(sample), size=len(sample))] for sample in samples))
        for _ in range(resamples)
    )
    values = [value for value in drawn if value is not None]
    if not values:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Items whose stated probability lies in (low, high]: how many, their mean, what came true."""

    low: float
    high: float
    count: int
    mean_probability: float
    share_right: float


def reliability_bins(probabilities: Stated, right: Outcomes, *, bins: int = 10) -> list[ReliabilityBin]:
    """Stated probability against what came true, in `bins` equal bins over 0…1; empty bins are left out."""
    stated, outcome = _aligned(probabilities, right)
    edges = np.linspace(0, 1, bins + 1)
    index = np.clip(np.ceil(stated * bins).astype(int) - 1, 0, bins - 1)
    filled = []
    for number in range(bins):
        inside = index == number
        if inside.any():
            filled.append(
                ReliabilityBin(
                    low=float(edges[number]),
                    high=float(edges[number + 1]),
                    count=int(inside.sum()),
                    mean_probability=float(stated[inside].mean()),
                    share_right=float(outcome[inside].mean()),
                )
            )
    return filled


def expected_calibration_error(probabilities: Stated, right: Outcomes, *, bins: int = 10) -> float | None:
    """Mean gap between stated probability and share right over equal bins; 0 is honest, None is no items.

    Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.

    >>> expected_calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, True, False])
    0.0
    >>> expected_calibration_error([1.0, 1.0], [True, False])
    0.5
    """
    filled = reliability_bins(probabilities, right, bins=bins)
    total = sum(one.count for one in filled)
    if not total:
        return None
    return sum(one.count * abs(one.mean_probability - one.share_right) for one in filled) / total


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Share wrong (`risk`) among the most confident items, for each share answered (`coverage`); all (K,)."""

    coverage: np.ndarray
    risk: np.ndarray
    threshold: np.ndarray

    @property
    def area(self) -> float | None:
        """Area under the curve, 0 (errors come last, or never) to 1; None for no items."""
        if not len(self.coverage):
            return None
        # a step function: what is answered between two thresholds is answered at the risk of the lower one
        return float(np.sum(np.diff(self.coverage, prepend=0.0) * self.risk))


def risk_coverage(probabilities: Stated, right: Outcomes) -> RiskCoverage:
    """How wrong one is when answering only where the stated probability is high enough, for every threshold.

    Items of equal probability are answered together. El-Yaniv and Wiener, "On the foundations of noise-free
    selective classification", JMLR 2010.

    >>> curve = risk_coverage([0.9, 0.8, 0.6, 0.6], [True, True, False, True])
    >>> curve.coverage.tolist(), curve.risk.tolist()
    ([0.25, 0.5, 1.0], [0.0, 0.0, 0.25])
    """
    stated, outcome = _aligned(probabilities, right)
    order = np.argsort(-stated, kind="stable")
    stated, wrong = stated[order], np.cumsum(~outcome[order])
    last_of_its_value = np.flatnonzero(np.append(stated[1:] != stated[:-1], len(stated) > 0))
    answered = last_of_its_value + 1
    return RiskCoverage(
        coverage=answered / max(1, len(stated)),
        risk=wrong[last_of_its_value] / answered,
        threshold=stated[last_of_its_value],
    )


def wrong_among_surest(
    probabilities: Stated, right: Outcomes, *, share: float = 0.5
) -> tuple[float, int] | None:
    """How many are wrong among the `share` of the items with the highest stated probability, and how many these are.

    The number is rounded up. Of items that state the same probability at the border, each is as likely to be among
    them, so the number of wrong ones may be a fraction; None is no items.

    >>> wrong_among_surest([0.9, 0.8, 0.7, 0.6], [True, False, False, False])
    (1.0, 2)
    >>> wrong_among_surest([0.9, 0.8, 0.8, 0.6], [True, True, False, False])
    (0.5, 2)
    """
    stated, outcome = _aligned(probabilities, right)
    if not len(stated):
        return None
    count = int(np.ceil(share * len(stated)))
    border = np.sort(stated)[::-1][count - 1]
    above, tied = stated > border, stated == border
    places = count - int(above.sum())
    wrong = float((~outcome[above]).sum()) + places * float((~outcome[tied]).mean())
    return wrong, count


def _aligned(probabilities: Stated, right: Outcomes) -> tuple[np.ndarray, np.ndarray]:
    stated, outcome = np.asarray(probabilities, np.float64), np.asarray(right, bool)
    assert stated.shape == outcome.shape and stated.ndim == 1, (stated.shape, outcome.shape)
    return stated, outcome
