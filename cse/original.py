"""The recording that an extraction starts from: at the model's rate, and as it came."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from cse.audio import AudioSource, Collected, collect_audio, read_blocks
from cse.downmix import collect_whole
from cse.errors import InvalidAudioError
from cse.lazy_waveform import LazyWaveform
from cse.resampling import resample_blocks


@dataclass(frozen=True)
class _Read:
    resampled: np.ndarray
    waveform: np.ndarray | None  # None for a long recording


class Original:
    """A recording as it came. A long one is not kept, but read again in the rare case that it is asked for.

    An hour at 48 kHz takes 700 MB. What can be read only once, such as a pipe, is kept.

    Args:
        collected: What was made of the recording.
        is_long: Whether memory counts more than a second of work or the last bit.
        read_again: Reads it as it came, in blocks, where it was not kept.

    >>> original = read_original(np.sin(np.arange(8000)), sample_rate=8000, to_hz=16000, long_s=600.0)
    >>> original.waveform().shape, original.take_resampled().shape
    ((8000,), (16000,))
    """

    def __init__(
        self, collected: Collected[_Read], *, is_long: bool, read_again: Callable[[], Iterator[np.ndarray]]
    ) -> None:
        self.name = collected.name
        self.sample_rate = collected.sample_rate
        self.samples = collected.samples
        self.duration_s = collected.duration_s
        self.warnings = collected.warnings
        self.is_long = is_long
        self._waveform = collected.content.waveform
        self._resampled = [collected.content.resampled]
        self._read_again = read_again

    def take_resampled(self) -> np.ndarray:
        """(T',) at the rate of the model, once: whoever takes it decides how long it takes memory.

        It is float32, or float16 of a long recording that fits, whose error is 70 dB below the sound.
        """
        return self._resampled.pop()

    def waveform(self) -> np.ndarray | LazyWaveform:
        """(T,) float32, as it came; asking for it raises InvalidAudioError if the file is another one meanwhile."""
        if self._waveform is not None:
            return self._waveform
        return LazyWaveform(self._checked, samples=self.samples)

    def _checked(self) -> Iterator[np.ndarray]:
        samples = 0
        for block in self._read_again():
            samples += len(block)
            yield block
        if samples != self.samples:
            raise InvalidAudioError(
                f"{self.name}: got {samples} samples where there were {self.samples} before, expected a file that "
                "nobody writes to; try again"
            )


def read_original(source: AudioSource, *, sample_rate: int | None, to_hz: int, long_s: float) -> Original:
    """Read a recording, once, and bring it to the rate of a model on the way.

    Args:
        source: As `read_audio`.
        sample_rate: As `read_audio`, of samples.
        to_hz: The rate of the model.
        long_s: From which duration on memory counts.

    Raises:
        InvalidAudioError, MissingExtraError: As `read_audio`.
    """
    keep_s = long_s if _can_be_read_again(source) else float("inf")

    def collect(blocks: Iterator[np.ndarray], from_hz: int) -> _Read:
        kept: list[np.ndarray] | None = []

        def keeping() -> Iterator[np.ndarray]:
            nonlocal kept
            samples = 0
            for block in blocks:
                samples += len(block)
                if samples > keep_s * from_hz:
                    kept = None
                if kept is not None:
                    kept.append(block)
                yield block

        resampled = collect_whole(resample_blocks(keeping(), from_hz, to_hz), to_hz)
        if kept is None:
            most = np.finfo(np.float16).max  # exceeded only where full scale is not 1
            fits = -most <= resampled.min() and resampled.max() <= most
            return _Read(resampled.astype(np.float16) if fits else resampled, None)
        return _Read(resampled, np.concatenate([np.zeros(0, np.float32), *kept]))

    collected = collect_audio(source, collect, sample_rate=sample_rate)
    again = partial(read_blocks, source, sample_rate=sample_rate, channel=collected.channel)
    return Original(collected, is_long=collected.duration_s > long_s, read_again=again)


def _can_be_read_again(source: AudioSource) -> bool:
    if isinstance(source, str | os.PathLike):
        return os.path.isfile(source)  # a pipe is none; unlike Path.is_file never raises
    return not hasattr(source, "read")
