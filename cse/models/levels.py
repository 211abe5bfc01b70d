"""How loud a talker is while talking, however long the pauses are."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SILENT_BELOW_DB = 20.0
"""What is further below the loudest talker is nobody, but what a separator leaves in an output without a talker."""

_FRAME = 800  # samples: 50 ms at 16 kHz
_BLOCK = 2**10  # frames that are looked at at once, so that nothing is copied as a whole
_SPEECH_FRAMES, _SPEECH_SHARE, _SHORT_SHARE = 10, 0.01, 0.25


def speech_levels(voices: Tensor) -> Tensor:
    """Power that each voice exceeds for half a second, or for 1 % of a long recording.

    So neither a click nor the pauses count, and a talker who says little is as loud as one who says much.

    Args:
        voices: (S, T) of any floating point type.

    Returns:
        (S,) float32 mean squares.

    >>> talk, click = 0.5 * torch.ones(8000), torch.zeros(60_000)
    >>> click[5] = 1.0
    >>> speech_levels(torch.stack([torch.cat([talk, torch.zeros(52_000)]), click])).tolist()
    [0.25, 0.0]
    """
    frames = _frame_powers(voices)
    count = frames.shape[1]
    rank = max(math.ceil(_SPEECH_SHARE * count), min(_SPEECH_FRAMES, math.ceil(_SHORT_SHARE * count)))
    return frames.kthvalue(count - rank + 1, dim=1).values


def _frame_powers(voices: Tensor) -> Tensor:
    """(S, T) to (S, L); what is left over at the end is a frame only if it is the only one."""
    count = voices.shape[1] // _FRAME
    if count == 0:
        return voices.float().square().mean(1, keepdim=True)
    # filled in place: small results between large temporary blocks would keep the allocator from using these again
    powers = torch.empty(len(voices), count)
    for first in range(0, count, _BLOCK):
        block = voices[:, first * _FRAME : min(first + _BLOCK, count) * _FRAME].float()
        powers[:, first : first + _BLOCK] = block.unflatten(1, (-1, _FRAME)).square().mean(2)
    return powers


def above_silence(levels: Tensor, loudest: Tensor | None = None) -> Tensor:
    """Which levels (S,) are somebody's: (S,) bool, against the loudest of them or another one.

    >>> above_silence(torch.tensor([1.0, 0.02, 0.005])).tolist()
    [True, True, False]
    """
    reference = levels.max() if loudest is None else loudest
    return (levels >= reference * 10 ** (-SILENT_BELOW_DB / 10)) & (levels > 0)
