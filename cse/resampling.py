"""Change of the sample rate; reached through `cse.audio`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from cse.errors import InvalidAudioError

_ZERO_CROSSINGS = 32  # of the filter, on either side
_BLOCK_SAMPLES = 2**20
_MAX_KERNEL_SIZE = 2**22
_SHORT_SAMPLES = 20480  # up to here, PyTorch convolves a single row in another way than all else


def resample(waveform: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Change the sample rate; sound above half the lower rate is filtered out, nothing is delayed.

    The result is the same to the last bit with any number of threads; another make of processor may round differently.

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
    # torchaudio's kernel grows with up x down: right for the usual rates, gigabytes for 47999 to 16000 Hz
    kernel_size = up * (down + 2 * _half_width(down, up))
    if kernel_size > _MAX_KERNEL_SIZE:
        whole = np.concatenate([np.asarray(block, np.float32) for block in blocks], axis=-1)
        if whole.size:
            yield _polyphase(whole, down, up)
        return
    block_samples = -(-_BLOCK_SAMPLES // down) * down
    overlap = -(-_half_width(down, up) // down) * down
    for part, left, new in _with_surroundings(blocks, block_samples, overlap):
        converted = _sinc(part.reshape(-1, part.shape[-1]), down, up)
        first = left // down * up
        yield converted[:, first : first - (-new * up // down)].reshape(*part.shape[:-1], -1)


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
    """Windowed-sinc interpolation (torchaudio) of (rows, T)."""
    import torch
    from torchaudio.functional import resample as torchaudio_resample

    rows = torch.from_numpy(_at_least_two_rows(waveform))
    with torch.inference_mode():
        converted = torchaudio_resample(rows, down, up, lowpass_filter_width=_ZERO_CROSSINGS)
    return np.asarray(converted[: len(waveform)].numpy())


def _at_least_two_rows(waveform: np.ndarray) -> np.ndarray:
    """The same, where it is one short row with a silent one below.

    PyTorch (`use_mkldnn` in its Convolution.cpp) convolves one short row by a matrix product of MKL, whose last bit
    depends on the number of threads: a mixture would depend on the engine that made it. All else goes to oneDNN.
    """
    if len(waveform) == 1 and waveform.shape[1] <= _SHORT_SAMPLES:
        return np.concatenate([waveform, np.zeros_like(waveform)])
    return np.ascontiguousarray(waveform)


def _polyphase(waveform: np.ndarray, down: int, up: int) -> np.ndarray:
    """The same in polyphase form (SciPy): this filter grows with max(up, down) only."""
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(waveform, up, down, axis=-1), np.float32)
