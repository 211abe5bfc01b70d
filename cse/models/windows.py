"""Separating recordings of any length: overlapping windows whose talkers are kept in the same order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from cse.errors import CancelledError

Separate = Callable[[Tensor], Tensor]

TRAINING_PEAK = 0.9  # that of every mixture made by simulate.mixing.mix


def separate_in_windows(
    separate: Separate,
    mixture: Tensor,
    *,
    window: int,
    overlap: int,
    should_stop: Callable[[], bool] | None = None,
) -> Tensor:
    """Separate window by window; talkers are followed from one window to the next by correlation in the overlap.

    Args:
        separate: (1, T) mixture -> (1, S, T) estimates of any level. It is given mixtures with a peak of 0.9, as in
            training, so that a whisper is separated like a shout.
        mixture: (T,) float waveform.
        window: Samples separated at once; a shorter recording is separated whole.
        overlap: Samples that neighbours share, faded into each other.
        should_stop: Asked before every window.

    Returns:
        (S, T) float32 on the CPU, at their level in the mixture.

    Raises:
        CancelledError: If `should_stop` said so.

    >>> halves = separate_in_windows(lambda x: torch.stack([x, x], 1), torch.randn(1000), window=400, overlap=100)
    >>> halves.shape
    torch.Size([2, 1000])
    """
    samples = len(mixture)
    result: Tensor | None = None
    start = 0
    while True:
        if should_stop is not None and should_stop():
            raise CancelledError("extraction was stopped before it was complete")
        piece = mixture[start : start + window]
        estimates = separate(_at_training_level(piece).unsqueeze(0))[0].float().cpu()
        estimates = match_levels(estimates, piece.float().cpu())
        if result is None:
            result = estimates.new_zeros(len(estimates), samples)
            result[:, : len(piece)] = estimates
        else:
            shared = min(overlap, len(piece))
            estimates = estimates[best_order(result[:, start : start + shared], estimates[:, :shared])]
            fade = torch.linspace(0, 1, shared)
            result[:, start : start + shared] *= 1 - fade
            result[:, start : start + shared] += fade * estimates[:, :shared]
            result[:, start + shared : start + len(piece)] = estimates[:, shared:]
        if start + len(piece) >= samples:
            return result
        start += window - overlap


def _at_training_level(mixture: Tensor) -> Tensor:
    return mixture * (TRAINING_PEAK / mixture.abs().max().clamp(min=1e-6))


def match_levels(estimates: Tensor, mixture: Tensor) -> Tensor:
    """Give each estimate its level in the mixture: the gains whose sum comes nearest to the mixture (least squares).

    Args:
        estimates: (S, T) float, any level.
        mixture: (T,) float.

    Returns:
        (S, T). Gains are not negative; a silent estimate stays silent.

    >>> talkers = torch.randn(2, 8000)
    >>> levelled = match_levels(torch.tensor([[3.0], [0.1]]) * talkers, talkers.sum(0))
    >>> bool(torch.allclose(levelled, talkers, atol=1e-3))
    True
    """
    unit = torch.nn.functional.normalize(estimates.double(), dim=1)
    ridge = 1e-6 * torch.eye(len(unit), dtype=unit.dtype)  # for estimates that are silent or all the same
    gains = torch.linalg.solve(unit @ unit.T + ridge, unit @ mixture.double())
    return (unit * gains.clamp(min=0.0).unsqueeze(1)).float()


def best_order(reference: Tensor, estimates: Tensor) -> list[int]:
    """Order of `estimates` (S, T) that follows the talkers of `reference` (S, T) most closely.

    >>> talkers = torch.randn(3, 100)
    >>> best_order(talkers, talkers[[2, 0, 1]])
    [1, 2, 0]
    """
    similarity = (reference @ estimates.T).numpy()
    rows = np.arange(len(similarity))
    return list(
        max(permutations(range(len(similarity))), key=lambda order: similarity[rows, list(order)].sum())
    )
