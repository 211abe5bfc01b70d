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
    if from_hz <= 0 or to_hz <= 0:
        raise InvalidAudioError(f"cannot resample from {from_hz} to {to_hz} Hz, expected rates above 0")
    divisor = math.gcd(from_hz, to_hz)
    down, up = from_hz // divisor, to_hz // divisor
    if down == up:
        for block in blocks:
            yield np.asarray(block, np.float32)
        return
    block_samples = -(-_BLOCK_SAMPLES // down) * down
    overlap = -(-_half_width(down, up) // down) * down
    for part, left, new in _with_surroundings(blocks, block_samples, overlap):
        converted = _sinc(part, down, up)
        first = left // down * up
        yield converted[..., first : first - (-new * up // down)]


def _with_surroundings(
    blocks: Iterable[np.ndarray], length: int, around: int
) -> Iterator[tuple[np.ndarray, int, int]]:
    """Stretches of `length` samples, each with up to `around` more on either side, float32.

    Yields:
        (..., left + new + right), left and new; the last stretch has what is left over.
    """
    waiting: list[np.ndarray] = []
    held = left = 0
    for block in blocks:
        waiting.append(block)
        held += block.shape[-1]
        if held >= left + length + around:
            part = waiting[0] if len(waiting) == 1 else np.concatenate(waiting, axis=-1)
            while part.shape[-1] >= left + length + around:
                yield np.asarray(part[..., : left + length + around], np.float32), left, length
                part, left = part[..., left + length - around :], around
            waiting, held = [part], part.shape[-1]
    if not waiting:
        return
    part = np.concatenate(waiting, axis=-1)
    while (new := min(length, part.shape[-1] - left)) > 0:
        yield np.asarray(part[..., : left + new + around], np.float32), left, new
        part, left = part[..., left + new - around :], around


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
