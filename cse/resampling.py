"""Change of the sample rate; reached through `cse.audio`."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator

import numpy as np

from cse.errors import InvalidAudioError

_ZERO_CROSSINGS = 32  # of the filter, on either side
_BLOCK_SAMPLES = 2**20
_ROLLOFF = 0.99  # where the filter ends, as a share of half the lower rate


def resample(waveform: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Change the sample rate; sound above half the lower rate is filtered out, nothing is delayed.

    The result is the same to the last bit with any number of threads.

    Args:
        waveform: (..., T), real.
        from_hz: its rate in Hz.
        to_hz: the wanted rate in Hz.

    Returns:
        (..., ceil(T * to_hz / from_hz)) float32.

    Raises:
        InvalidAudioError: a rate that is not above 0.

    Example:
        >>> resample(np.zeros((2, 441)), 44100, 16000).shape
        (2, 160)
    """
    if from_hz <= 0 or to_hz <= 0:
        raise InvalidAudioError(f"cannot resample from {from_hz} to {to_hz} Hz, expected rates above 0")
    waveform = np.asarray(waveform)
    length = -(-waveform.shape[-1] * to_hz // from_hz)
    result = np.empty((*waveform.shape[:-1], length), np.float32)
    end = 0
    for block in resample_blocks([waveform], from_hz, to_hz):
        start, end = end, end + block.shape[-1]
        result[..., start:end] = block
    return result


def resample_blocks(blocks: Iterable[np.ndarray], from_hz: int, to_hz: int) -> Iterator[np.ndarray]:
    """Change the sample rate of a waveform that comes in blocks, without ever holding the whole of it.

    Args:
        blocks: Arrays (..., T) that follow each other, of any length, real.
        from_hz: their rate in Hz.
        to_hz: the wanted rate in Hz.

    Yields:
        What `resample` makes of all of them together, in blocks of its own; float32.

    Raises:
        InvalidAudioError: a rate that is not above 0.

    Example:
        >>> tone = np.sin(np.arange(4000))
        >>> pieces = list(resample_blocks(np.split(tone, 5), 8000, 16000))
        >>> np.array_equal(np.concatenate(pieces), resample(tone, 8000, 16000))
        True
    """
    resampler = Resampler(from_hz, to_hz)
    for block in blocks:
        yield from resampler.push(block)
    yield from resampler.flush()


class Resampler:
    """Changes the sample rate of a waveform that is still coming.

    Args:
        from_hz: its rate in Hz.
        to_hz: the wanted rate in Hz.
        block_samples: how much is converted at once, rounded up; less is quicker to come out, more is less work.

    Raises:
        InvalidAudioError: a rate that is not above 0.

    Example:
        >>> resampler = Resampler(16000, 8000, block_samples=160)
        >>> [len(block) for block in resampler.push(np.zeros(500))], resampler.latency
        ([80, 80], 225)
        >>> sum(len(block) for block in resampler.flush())
        90
    """

    def __init__(self, from_hz: int, to_hz: int, *, block_samples: int = _BLOCK_SAMPLES) -> None:
        if from_hz <= 0 or to_hz <= 0:
            raise InvalidAudioError(f"cannot resample from {from_hz} to {to_hz} Hz, expected rates above 0")
        divisor = math.gcd(from_hz, to_hz)
        self._down, self._up = from_hz // divisor, to_hz // divisor
        self._same = self._down == self._up
        self._length = -(-block_samples // self._down) * self._down
        self._around = -(-_half_width(self._down, self._up) // self._down) * self._down
        self._waiting: list[np.ndarray] = []
        self._held = self._left = 0

    @property
    def latency(self) -> int:
        """How many samples at the first rate a sample may have to wait for, at most."""
        return 0 if self._same else self._length - 1 + self._around

    def push(self, block: np.ndarray) -> Iterator[np.ndarray]:
        """Take the next samples (..., T), real, and give those that are ready, float32. To be run to its end."""
        if self._same:
            yield np.asarray(block, np.float32)
            return
        self._waiting.append(block)
        self._held += block.shape[-1]
        needed = self._length + self._around
        if self._held < self._left + needed:
            return
        part = self._joined()
        while part.shape[-1] >= self._left + needed:
            yield self._converted(part[..., : self._left + needed], self._length)
            part = self._moved_on(part, self._length)
        self._waiting, self._held = [part], part.shape[-1]

    def flush(self) -> Iterator[np.ndarray]:
        """Give the rest: nothing comes any more."""
        if not self._waiting:
            return
        part = self._joined()
        while (new := min(self._length, part.shape[-1] - self._left)) > 0:
            yield self._converted(part[..., : self._left + new + self._around], new)
            part = self._moved_on(part, new)
        self._waiting, self._held = [], 0

    def _moved_on(self, part: np.ndarray, new: int) -> np.ndarray:
        """What is still needed when `new` samples are converted: as much before them as the filter reaches."""
        start = max(0, self._left + new - self._around)
        self._left += new - start
        return part[..., start:]

    def _joined(self) -> np.ndarray:
        return self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting, axis=-1)

    def _converted(self, part: np.ndarray, new: int) -> np.ndarray:
        """What becomes of `new` samples behind the first ones, which only surround them."""
        first = self._left // self._down * self._up
        converted = _sinc(np.asarray(part, np.float32), self._down, self._up)
        return converted[..., first : first - (-new * self._up // self._down)]


def _half_width(down: int, up: int) -> int:
    """How many samples of the input the filter reaches to either side."""
    return math.ceil(1.02 * _ZERO_CROSSINGS * max(1.0, down / up))


def _sinc(waveform: np.ndarray, down: int, up: int) -> np.ndarray:
    """Windowed-sinc interpolation of (..., T) to (..., ceil(T * up / down))."""
    from scipy.signal import upfirdn

    filter_, first = _filter(down, up)
    length = -(-waveform.shape[-1] * up // down)
    converted = upfirdn(filter_, waveform, up, down)[..., first : first + length]
    missing = length - converted.shape[-1]
    return np.pad(converted, [(0, 0)] * (waveform.ndim - 1) + [(0, missing)]) if missing else converted


@functools.lru_cache(maxsize=8)
def _filter(down: int, up: int) -> tuple[np.ndarray, int]:
    """The low-pass filter at `up` times the rate, float32, and which of its results belongs to the first sample.

    Smith, "Digital audio resampling": a sinc under a squared cosine, as `torchaudio.functional.resample` has it.
    """
    cutoff = min(down, up) * _ROLLOFF
    half = math.ceil(_ZERO_CROSSINGS * up * down / cutoff)
    crossings = (np.arange(-half, half + 1) * (cutoff / (up * down))).clip(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    taper = np.cos(crossings * (np.pi / 2 / _ZERO_CROSSINGS)) ** 2
    taps = (np.sinc(crossings) * taper * (cutoff / down)).astype(np.float32)
    lead = -half % down  # so that the middle of the filter falls on a result
    return np.concatenate([np.zeros(lead, np.float32), taps]), (half + lead) // down
