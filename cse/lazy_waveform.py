"""Voices that are brought to the recording's sample rate when somebody listens to them, not before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

import numpy as np

from cse.resampling import resample_blocks

_BLOCK_SAMPLES = 2**18


class LazyWaveform:
    """A waveform that is made when it is asked for: at once, or block by block.

    Args:
        make: Gives its blocks (T,) from the beginning, as often as it is called.
        samples: Its length T; what the blocks have beyond it is left out, what they lack is silence.

    >>> lazy = LazyWaveform(lambda: [np.ones(3), np.ones(2)], samples=4)
    >>> lazy.array(), len(list(lazy.blocks()))
    (array([1., 1., 1., 1.], dtype=float32), 1)
    """

    def __init__(self, make: Callable[[], Iterable[np.ndarray]], *, samples: int) -> None:
        self._make = make
        self._samples = samples
        self._array: np.ndarray | None = None

    def blocks(self) -> Iterator[np.ndarray]:
        """The waveform (T,) float32 in blocks, of which one is there at a time."""
        if self._array is not None:
            yield self._array
            return
        missing = self._samples
        for block in self._make():
            part = block[:missing].astype(np.float32, copy=False)
            missing -= len(part)
            if len(part):
                yield part
        if missing:
            yield np.zeros(missing, np.float32)

    def array(self) -> np.ndarray:
        """The waveform (T,) float32; made once, and kept."""
        if self._array is None:
            array = np.empty(self._samples, np.float32)
            end = 0
            for block in self.blocks():
                start, end = end, end + len(block)
                array[start:end] = block
            self._array = array
        return self._array


def at_rate(estimate: np.ndarray, from_hz: int, to_hz: int, *, samples: int) -> LazyWaveform:
    """An estimate at a model's sample rate as it is at the rate and the length of the recording.

    An hour at 48 kHz takes 700 MB, the estimate that it is made of a sixth of that.

    Args:
        estimate: (T',) floating point at `from_hz`; half precision will do.
        from_hz: Its sample rate in Hz.
        to_hz: That of the recording.
        samples: Length T of the recording.

    >>> at_rate(np.ones(800, np.float16), 8000, 16000, samples=1599).array().shape
    (1599,)
    """
    starts = range(0, len(estimate), _BLOCK_SAMPLES)
    return LazyWaveform(
        lambda: resample_blocks(
            (estimate[start : start + _BLOCK_SAMPLES] for start in starts), from_hz, to_hz
        ),
        samples=samples,
    )


class WaveformField:
    """Field of a dataclass that is given an array or a `LazyWaveform`, and reads as an array.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Voice:
    ...     waveform: WaveformField = WaveformField()
    >>> Voice(LazyWaveform(lambda: [np.ones(2)], samples=2)).waveform
    array([1., 1.], dtype=float32)
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> WaveformField: ...
    @overload
    def __get__(self, instance: object, owner: type) -> np.ndarray: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            raise AttributeError(self._name)  # so that the field has no default
        waveform = instance.__dict__[self._name]
        return waveform.array() if isinstance(waveform, LazyWaveform) else waveform

    def __set__(self, instance: object, value: np.ndarray | LazyWaveform) -> None:
        instance.__dict__[self._name] = value

    @staticmethod
    def blocks(instance: object, name: str) -> Iterator[np.ndarray]:
        """What is in the field `name`, in blocks, without making an array of a `LazyWaveform`."""
        waveform = instance.__dict__[name]
        yield from waveform.blocks() if isinstance(waveform, LazyWaveform) else (waveform,)
