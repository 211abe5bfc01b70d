"""How many people talk in a recording: a separator has outputs for some number of talkers, and not all are needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cse.models.levels import above_silence, speech_levels

SAME_CORRELATION = 0.95
"""Two estimates that are more alike than this are one talker, taken apart by mistake."""

_BLOCK = 2**20


def found_talkers(estimates: ArrayLike, sample_rate: int) -> list[list[int]]:
    """Tell which outputs of a separator hold talkers; those that belong to one talker are listed together.

    Args:
        estimates: (S, T) of any floating point type, at their level in the mixture; an array, or a tensor on the CPU.
        sample_rate: Of the estimates, in Hz.

    Returns:
        Numbers of the outputs of each talker, at least one. An output that is nowhere holds nobody: it is 20 dB below
        the loudest one (`cse.models.levels`).

    >>> voice, other = np.random.default_rng(0).standard_normal((2, 16_000))
    >>> found_talkers([voice, 0.5 * voice, other, 0.01 * other], 16_000)
    [[0, 1], [2]]
    """
    estimates = np.asarray(estimates)
    levels = speech_levels(estimates, sample_rate)
    talking = above_silence(levels).nonzero()[0].tolist() or [int(levels.argmax())]
    alike = _correlations(estimates) > SAME_CORRELATION
    talkers: list[list[int]] = []
    for output in talking:
        same = next((talker for talker in talkers if alike[talker[0], output]), None)
        if same is None:
            talkers.append([output])
        else:
            same.append(output)
    return talkers


def _correlations(estimates: np.ndarray) -> np.ndarray:
    """(S, S), without a copy of the whole."""
    products = np.zeros((len(estimates), len(estimates)))
    for start in range(0, estimates.shape[1], _BLOCK):
        block = estimates[:, start : start + _BLOCK].astype(np.float32)
        products += block @ block.T
    norms = np.sqrt(products.diagonal()).clip(min=1e-12)
    correlations: np.ndarray = products / np.outer(norms, norms)
    return correlations
