"""Speech at another speed and pitch, quickly, and to the bit the same in every process."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import scipy.fft

_BLOCK_SAMPLES = (
    3000  # about as many that come out of a block: many quick transforms, of which little overlaps
)
_ZERO_CROSSINGS = 64  # of the filter, on either side
_EDGE = 0.96  # of the lower rate's band that stays, in the middle of the filter's slope
_LARGEST_DENOMINATOR = 100


class SpeedChange:
    """Resamples speech by a fixed ratio, block by block in the frequency domain (overlap-save).

    `cse.audio.resample` does as well, but its last bits depend on how many threads torch may use, so a mixture would
    sound different to the bit in a data-loader worker and in the training process. NumPy's and SciPy's Fourier
    transforms use one thread, and many short ones at once take half the time.

    Args:
        factor: How much faster than it was spoken; rounded to a fraction of at most hundredths.

    >>> SpeedChange(1.1)(np.zeros(11000, np.float32)).shape
    (10000,)
    """

    def __init__(self, factor: float) -> None:
        ratio = Fraction(factor).limit_denominator(_LARGEST_DENOMINATOR)
        self._down, self._up = ratio.numerator, ratio.denominator
        self._periods = 2 ** round(math.log2(_BLOCK_SAMPLES / self._up))  # of the ratio in a block
        slowest = max(1.0, self._down / self._up)  # samples of the input in one of the lower rate
        self._overlap_periods = -(-int(_ZERO_CROSSINGS * slowest) // self._down)
        self._response = self._filter(slowest)

    def __call__(self, speech: np.ndarray) -> np.ndarray:
        """Change the speed of (T,) float32; silence lies around it. Returns (⌈T / factor⌉,) float32."""
        if self._down == self._up:
            return speech
        overlap, size = self._overlap_periods * self._down, self._periods * self._down
        hop = size - 2 * overlap
        blocks = -(-len(speech) // hop)
        padded = np.zeros(blocks * hop + 2 * overlap, dtype=np.float32)
        padded[overlap : overlap + len(speech)] = speech
        spectra = scipy.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, size)[::hop])
        kept = spectra[:, : len(self._response)] * self._response
        out = self._overlap_periods * self._up
        changed = scipy.fft.irfft(kept, self._periods * self._up)[:, out:-out]
        return changed.reshape(-1)[: -(-len(speech) * self._up // self._down)]

    def _filter(self, slowest: float) -> np.ndarray:
        """Frequency response (F,) float32 of a windowed sinc, up to the lower rate's half."""
        size = self._periods * self._down
        reach = int(_ZERO_CROSSINGS * slowest)
        time = np.arange(-reach, reach + 1)
        taps = _EDGE / slowest * np.sinc(_EDGE / slowest * time) * np.kaiser(len(time), 8.0)
        centred = np.zeros(size)
        centred[time] = taps  # negative places count from the end: no delay
        bins = min(size, self._periods * self._up) // 2 + 1
        gain = self._up / self._down  # of an inverse transform of another length
        return (scipy.fft.rfft(centred).real[:bins] * gain).astype(np.float32)
