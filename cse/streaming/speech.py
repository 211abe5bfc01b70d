"""How long somebody has spoken, of sound that is still coming."""

from __future__ import annotations

import numpy as np

_FRAME_S = 0.05
_BELOW_LOUDEST = 10**-3.0  # 30 dB
_SILENT_POWER = 10**-8.0  # 80 dB below full scale
_FADE = 10 ** (-0.1 * _FRAME_S)  # a bang is forgotten by 1 dB a second


class SpeechClock:
    """Counts the time in which any of some voices speaks.

    Args:
        sample_rate: In Hz.

    >>> clock = SpeechClock(sample_rate=16000)
    >>> for level in (0.0, 0.5, 0.5, 0.001):
    ...     clock.hear(np.full((2, clock.frame), level))
    >>> clock.speech_s
    0.1
    """

    def __init__(self, *, sample_rate: int) -> None:
        self.frame = max(1, round(_FRAME_S * sample_rate))
        self._loudest = 0.0
        self._frames = 0

    @property
    def speech_s(self) -> float:
        """How long somebody has spoken."""
        return self._frames * _FRAME_S

    def hear(self, voices: np.ndarray) -> None:
        """Listen to one frame (S, `frame`)."""
        power = float(np.square(voices, dtype=np.float64).mean(axis=1).max(initial=0.0))
        self._loudest = max(self._loudest * _FADE, power)
        self._frames += power >= max(self._loudest * _BELOW_LOUDEST, _SILENT_POWER)
