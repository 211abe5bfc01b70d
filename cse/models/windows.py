"""Separating recordings of any length: overlapping windows whose talkers are kept in the same order."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from cse.errors import CancelledError
from cse.models.talker_tracks import TalkerTracks

Separate = Callable[[Tensor], Tensor]

TRAINING_PEAK = 0.9  # that of every mixture made by simulate.mixing.mix
_BLOCK = 2**20


def separate_in_windows(
    separate: Separate,
    mixture: Tensor,
    *,
    window: int,
    overlap: int,
    tracks: TalkerTracks | None = None,
    dtype: torch.dtype = torch.float32,
    should_stop: Callable[[], bool] | None = None,
) -> Tensor:
    """Separate window by window, all of one length; talkers are followed from one window to the next.

    Args:
        separate: (1, T) mixture -> (1, S, T) estimates of any level. It is given mixtures with a peak of 0.9 around 0,
            as in training, so that a whisper is separated like a shout.
        mixture: (T,) waveform of any floating point type.
        window: Samples separated at once, at most; a shorter recording is separated whole.
        overlap: Samples that neighbours share, faded into each other.
        tracks: Tells who is who; None is by correlation alone.
        dtype: Of the result, which is what takes memory.
        should_stop: Asked before every window.

    Returns:
        (S, T) on the CPU, at their level in the mixture.

    Raises:
        CancelledError: If `should_stop` said so.

    >>> halves = separate_in_windows(lambda x: torch.stack([x, x], 1), torch.randn(1000), window=400, overlap=100)
    >>> halves.shape
    torch.Size([2, 1000])
    """
    tracks = tracks or TalkerTracks()
    result = tail = torch.zeros(0)
    for start, end in _windows(len(mixture), window=window, overlap=overlap):
        if should_stop is not None and should_stop():
            raise CancelledError("extraction was stopped before it was complete")
        piece = mixture[start:end].float()
        estimates = separate(_at_training_level(piece).unsqueeze(0))[0].float().cpu()
        estimates = match_levels(estimates, piece.cpu())
        if start == 0:
            result = torch.zeros(len(estimates), len(mixture), dtype=dtype)
            tracks.begin(estimates)
        else:
            estimates = estimates[tracks.follow(tail, estimates)]
            fade = torch.linspace(0, 1, overlap)
            estimates[:, :overlap] = (1 - fade) * tail + fade * estimates[:, :overlap]
        result[:, start:end] = estimates
        tail = estimates[:, end - start - overlap :].clone()
    return result


def _windows(samples: int, *, window: int, overlap: int) -> list[tuple[int, int]]:
    """First sample and end of each window: as few as there can be, as equal as they can be.

    A short one at the end would be separated with nothing around it.
    """
    if samples <= window:
        return [(0, samples)]
    count = math.ceil((samples - overlap) / (window - overlap))
    starts = [round(index * (samples - overlap) / count) for index in range(count + 1)]
    return [(start, following + overlap) for start, following in pairwise(starts)]


def _at_training_level(mixture: Tensor) -> Tensor:
    centred = mixture - mixture.mean()  # microphones with an offset
    return centred * (TRAINING_PEAK / centred.abs().max().clamp(min=1e-6))


def match_levels(estimates: Tensor, mixture: Tensor) -> Tensor:
    """Give each estimate its level in the mixture: the gains whose sum comes nearest to the mixture (least squares).

    Args:
        estimates: (S, T) float, any level.
        mixture: (T,) float.

    Returns:
        (S, T) float32. Gains are not negative; a silent estimate stays silent.

    >>> talkers = torch.randn(2, 8000)
    >>> levelled = match_levels(torch.tensor([[3.0], [0.1]]) * talkers, talkers.sum(0))
    >>> bool(torch.allclose(levelled, talkers, atol=1e-3))
    True
    """
    products = torch.zeros(len(estimates), len(estimates) + 1, dtype=torch.float64)
    for ours, theirs in zip(estimates.split(_BLOCK, dim=1), mixture.split(_BLOCK), strict=True):
        block = ours.double()
        products += block @ torch.cat([block, theirs.double().unsqueeze(0)]).T
    among, with_mixture = products[:, :-1], products[:, -1]
    norms = among.diagonal().sqrt().clamp(min=1e-12)
    ridge = 1e-6 * torch.eye(len(among), dtype=among.dtype)  # for estimates that are silent or all the same
    gains = torch.linalg.solve(among / norms.outer(norms) + ridge, with_mixture / norms)
    return estimates.float() * (gains.clamp(min=0.0) / norms).float().unsqueeze(1)
