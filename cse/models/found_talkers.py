"""How many people talk in a recording: a separator has outputs for some number of talkers, and not all are needed."""

from __future__ import annotations

import torch
from torch import Tensor

from cse.models.levels import above_silence, speech_levels

SAME_CORRELATION = 0.95
"""Two estimates that are more alike than this are one talker, taken apart by mistake."""

_BLOCK = 2**20


def found_talkers(estimates: Tensor) -> list[list[int]]:
    """Tell which outputs of a separator hold talkers; those that belong to one talker are listed together.

    Args:
        estimates: (S, T) of any floating point type, at their level in the mixture.

    Returns:
        Numbers of the outputs of each talker, at least one. An output that is nowhere holds nobody: it is 20 dB below
        the loudest one (`cse.models.levels`).

    >>> voice, other = torch.randn(2, 16_000)
    >>> found_talkers(torch.stack([voice, 0.5 * voice, other, 0.01 * other]))
    [[0, 1], [2]]
    """
    levels = speech_levels(estimates)
    talking = above_silence(levels).nonzero().flatten().tolist() or [int(levels.argmax())]
    alike = _correlations(estimates) > SAME_CORRELATION
    talkers: list[list[int]] = []
    for output in talking:
        same = next((talker for talker in talkers if alike[talker[0], output]), None)
        if same is None:
            talkers.append([output])
        else:
            same.append(output)
    return talkers


def _correlations(estimates: Tensor) -> Tensor:
    """(S, S), without a copy of the whole."""
    products = torch.zeros(len(estimates), len(estimates), dtype=torch.float64)
    for block in estimates.split(_BLOCK, dim=1):
        products += (block.float() @ block.float().T).double()
    norms = products.diagonal().sqrt().clamp(min=1e-12)
    return products / norms.outer(norms)
