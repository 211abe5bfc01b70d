"""Change of the sample rate; reached through `cse.audio`."""

from __future__ import annotations

import math

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
    waveform = np.asarray(waveform, dtype=np.float32)
    divisor = math.gcd(from_hz, to_hz)
    down, up = from_hz // divisor, to_hz // divisor
    if down == up:
        return waveform.copy()
    shape = (*waveform.shape[:-1], -(-waveform.shape[-1] * up // down))
    if waveform.size == 0:
        return np.zeros(shape, np.float32)
    # torchaudio's kernel grows with up x down: right for the usual rates, gigabytes for 47999 to 16000 Hz
    kernel_size = up * (down + 2 * _half_width(down, up))
    convert = _sinc if kernel_size <= _MAX_KERNEL_SIZE else _polyphase
    return convert(waveform.reshape(-1, waveform.shape[-1]), down, up).reshape(shape)


def _half_width(down: int, up: int) -> int:
    """How many samples of the input the filter reaches to either side."""
    return math.ceil(1.02 * _ZERO_CROSSINGS * max(1.0, down / up))


def _sinc(waveform: np.ndarray, down: int, up: int) -> np.ndarray:
    """Windowed-sinc interpolation (torchaudio); overlapping blocks bound the memory."""
    import torch
    from torchaudio.functional import resample as torchaudio_resample

    length = waveform.shape[-1]
    block = -(-_BLOCK_SAMPLES // down) * down
    overlap = -(-_half_width(down, up) // down) * down
    result = np.empty((len(waveform), -(-length * up // down)), np.float32)
    for start in range(0, length, block):
        left = max(0, start - overlap)
        part = torch.from_numpy(_at_least_two_rows(waveform[:, left : start + block + overlap]))
        with torch.inference_mode():
            converted = torchaudio_resample(part, down, up, lowpass_filter_width=_ZERO_CROSSINGS).numpy()
        first, skip = start // down * up, (start - left) // down * up
        last = min(result.shape[1], first + block // down * up)
        result[:, first:last] = converted[: len(result), skip : skip + last - first]
    return result


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
