"""How loud a talker is while talking, however long the pauses are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

SILENT_BELOW_DB = 20.0
"""What is further below the loudest talker is nobody, but what a separator leaves in an output without a talker."""

SPEECH_FRAMES, SPEECH_SHARE, SHORT_SHARE = 10, 0.01, 0.25
"""A voice is as loud as so many of its frames, or such a share of a long recording, but at most such of a short one."""

_FRAME_S = 0.05
_BLOCK_FRAMES = 2**10  # what is looked at at once, so that nothing is copied as a whole


def frame_samples(sample_rate: int) -> int:
    """Samples of one frame, 50 ms, at this rate in Hz.

    >>> frame_samples(16_000), frame_samples(8000)
    (800, 400)
    """
    return round(_FRAME_S * sample_rate)


def speech_levels(voices: ArrayLike, sample_rate: int) -> np.ndarray:
    """Power that each voice exceeds for half a second, or for 1 % of a long recording.

    So neither a click nor the pauses count, and a talker who says little is as loud as one who says much; but not one
    who is heard for less than 1 % of a long recording, who cannot be told from what a separator does wrong in it.

    Args:
        voices: (S, T) of any floating point type; an array, or a tensor on the CPU.
        sample_rate: Of the voices, in Hz.

    Returns:
        (S,) float32 mean squares.

    >>> talk, click = 0.5 * np.ones(8000), np.zeros(60_000)
    >>> click[5] = 1.0
    >>> speech_levels([np.concatenate([talk, np.zeros(52_000)]), click], 16_000).tolist()
    [0.25, 0.0]
    """
    voices = np.asarray(voices)
    frame = frame_samples(sample_rate)
    step = _BLOCK_FRAMES * frame
    blocks = [voices[:, start : start + step] for start in range(0, voices.shape[1], step)]
    frames = np.concatenate([_frame_powers(block, frame) for block in blocks], axis=1)
    count = frames.shape[1]
    rank = max(math.ceil(SPEECH_SHARE * count), min(SPEECH_FRAMES, math.ceil(SHORT_SHARE * count)))
    return np.asarray(np.partition(frames, count - rank, axis=1)[:, count - rank])


def _frame_powers(voices: np.ndarray, frame: int) -> np.ndarray:
    """(S, T) to (S, L), of so many samples each; what is left over at the end is a frame only if it is the only one."""
    whole = voices.shape[1] // frame * frame
    if whole == 0:
        return np.asarray(np.square(voices, dtype=np.float32).mean(axis=1, keepdims=True))
    frames = voices[:, :whole].reshape(len(voices), -1, frame)
    return np.asarray(np.square(frames, dtype=np.float32).mean(axis=2))


def above_silence(levels: np.ndarray, loudest: float | None = None) -> np.ndarray:
    """Which levels (S,) are somebody's: (S,) bool, against the loudest of them or another one.

    >>> above_silence(np.array([1.0, 0.02, 0.005])).tolist()
    [True, True, False]
    """
    reference = levels.max() if loudest is None else loudest
    return np.asarray((levels >= reference * 10 ** (-SILENT_BELOW_DB / 10)) & (levels > 0))
