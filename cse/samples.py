"""Sound that is in memory already: arrays and tensors, checked, and as streams like those of files."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cse.decoding import AudioStream
from cse.errors import InvalidAudioError

_BLOCK_SAMPLES = 2**16


def is_tensor(source: object) -> bool:
    """Whether it is a tensor of torch."""
    # without importing torch: whoever has a tensor has imported it
    return type(source).__module__.partition(".")[0] == "torch" and hasattr(source, "detach")


def is_samples(source: object) -> bool:
    """Whether it is an array or a tensor."""
    return isinstance(source, np.ndarray) or is_tensor(source)


def in_memory(source: object, sample_rate: Any) -> tuple[Any, Any] | None:
    """The array or tensor of what is samples already, with its rate; None for what has yet to be decoded.

    Args:
        source: samples, or a pair of samples and their rate in Hz, as `torchaudio.load` and `librosa.load` return it.
        sample_rate: of samples that are no pair.

    Raises:
        InvalidAudioError: another tuple, or a pair whose rate is said twice.
    """
    if not isinstance(source, tuple):
        return (source, sample_rate) if is_samples(source) else None
    if len(source) != 2 or not is_samples(source[0]):
        kinds = ", ".join(type(part).__name__ for part in source)
        raise InvalidAudioError(f"got a tuple of ({kinds}), expected a pair (samples, sample_rate)")
    if sample_rate is not None:
        raise InvalidAudioError(
            f"got sample_rate={sample_rate} with a pair (samples, sample_rate), which says its own; leave it out"
        )
    return source


def to_array(source: Any) -> np.ndarray:
    """An array of what is one, or a tensor on any device."""
    if not is_tensor(source):
        return np.asarray(source)
    tensor = source.detach().cpu()
    # NumPy has no bfloat16
    return np.asarray(tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy())


def check_samples(samples: np.ndarray, sample_rate: Any) -> tuple[np.ndarray, int]:
    """Samples as (channels, T), and their rate.

    Raises:
        InvalidAudioError: no rate or none in whole Hz, samples of another type or shape.
    """
    if sample_rate is None:
        raise InvalidAudioError("got samples without their rate, expected sample_rate=... in Hz")
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, numbers.Real) or sample_rate % 1:
        raise InvalidAudioError(f"got sample_rate={sample_rate!r}, expected a whole number of Hz")
    if samples.dtype.kind not in "iuf":
        raise InvalidAudioError(
            f"got samples of type {samples.dtype}, expected floating point in -1..1 or integers"
        )
    if samples.ndim not in (1, 2):
        raise InvalidAudioError(f"got samples of shape {samples.shape}, expected (T,) or (channels, T)")
    return np.atleast_2d(samples), int(float(sample_rate))


@contextmanager
def open_samples(samples: np.ndarray, sample_rate: int) -> Iterator[AudioStream]:
    """Samples (channels, T) as a stream, like that of a file."""
    duration_s = samples.shape[1] / sample_rate if sample_rate > 0 else None
    yield AudioStream(sample_rate, len(samples), duration_s, _sample_blocks(samples))


def _sample_blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    """(frames, channels) float32; integers are divided by their type's range, 0 of unsigned is its middle."""
    integers = samples.dtype.kind in "iu"
    scale = 2.0 ** (8 * samples.dtype.itemsize - 1) if integers else 1.0
    middle = scale if samples.dtype.kind == "u" else 0.0
    for start in range(0, samples.shape[1], _BLOCK_SAMPLES):
        block = samples[:, start : start + _BLOCK_SAMPLES].T
        yield ((block.astype(np.float64) - middle) / scale if integers else block).astype(np.float32)
