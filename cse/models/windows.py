"""Separating recordings of any length by a network of PyTorch; see `cse.models.overlapping_windows`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from cse.models.overlapping_windows import TRAINING_PEAK, levelled, separate_windows
from cse.models.stretches import at_stretches
from cse.models.talker_tracks import TalkerTracks

__all__ = ["TRAINING_PEAK", "match_levels", "separate_in_windows"]

Separate = Callable[[Tensor], Tensor]


def separate_in_windows(
    separate: Separate,
    mixture: Tensor,
    *,
    window: int,
    overlap: int,
    sample_rate: int,
    tracks: TalkerTracks | None = None,
    stretches: Sequence[float] = (1.0,),
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
        sample_rate: Of the mixture, in Hz.
        tracks: Tells who is who; None is by correlation alone.
        stretches: See `at_stretches`.
        dtype: Of the result, float32 or float16, which is what takes memory.
        should_stop: Asked before every window.

    Returns:
        (S, T) on the CPU, at their level in the mixture.

    Raises:
        CancelledError: If `should_stop` said so.

    >>> lengths = {"window": 400, "overlap": 100, "sample_rate": 8000}
    >>> halves = separate_in_windows(lambda x: torch.stack([x, x], 1), torch.randn(1000), **lengths)
    >>> halves.shape
    torch.Size([2, 1000])
    """

    # only the separator runs in reduced precision: the encoder that tells voices apart does not
    reduced, precision = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def separate_arrays(piece: np.ndarray) -> np.ndarray:
        with torch.autocast("cpu", precision, enabled=reduced):
            estimates = separate(torch.from_numpy(piece).to(mixture.device).unsqueeze(0))
        return np.asarray(estimates[0].float().cpu().numpy())

    with torch.autocast("cpu", enabled=False):
        result = separate_windows(
            at_stretches(separate_arrays, stretches),
            mixture.cpu().numpy(),
            window=window,
            overlap=overlap,
            sample_rate=sample_rate,
            tracks=tracks,
            dtype=np.float16 if dtype == torch.float16 else np.float32,
            should_stop=should_stop,
        )
    return torch.from_numpy(result)


def match_levels(estimates: Tensor, mixture: Tensor) -> Tensor:
    """Give each estimate its level in the mixture: the gains whose sum comes nearest to the mixture (least squares).

    Args:
        estimates: (S, T) float, any level.
        mixture: (T,) float.

    Returns:
        (S, T) float32. Gains are not negative, and the nearest of those that are not; a silent estimate stays silent.

    >>> talkers = torch.randn(2, 8000)
    >>> matched = match_levels(torch.tensor([[3.0], [0.1]]) * talkers, talkers.sum(0))
    >>> bool(torch.allclose(matched, talkers, atol=1e-3))
    True
    """
    return torch.from_numpy(levelled(estimates.numpy(), mixture.numpy()))
