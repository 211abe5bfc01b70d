"""From channels to one waveform, with the checks that need every sample; reached through `cse.audio`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from cse.decoding import AudioStream
from cse.errors import AudioTooLongError, InvalidAudioError

MIN_RATE_HZ, MAX_RATE_HZ, LOW_RATE_HZ = 4_000, 192_000, 8_000
MAX_CHANNELS = 32

_FULL_SCALE, _CLIPPED_SHARE, _NO_AUDIO_SCALE = 0.999, 1e-3, 4.0
_CANCELLED_POWER = 1e-2  # of the mean of the channels, relative to the mean power of the channels


T = TypeVar("T")
Collect = Callable[[Iterator[np.ndarray], int], T]
"""Makes something of a waveform that comes in blocks (T,) float32, at a sample rate in Hz."""


def collect_whole(blocks: Iterator[np.ndarray], sample_rate: int) -> np.ndarray:
    """The whole waveform, (T,) float32."""
    # a bytearray grows in place: an hour at 48 kHz is 700 MB, which should not be there twice
    samples = bytearray()
    for block in blocks:
        samples += block.tobytes()
    return np.frombuffer(samples, np.float32)


@dataclass(frozen=True)
class Downmix(Generic[T]):
    """What was made of the waveform, and what was found out on the way.

    Attributes:
        content: What `collect` made.
        channel: Which channel the waveform is; None is their mean.
        frames: Length of the waveform in samples.
        sample_rate: In Hz.
        swing: How far the waveform goes from its middle, 1 at full scale.
        warnings: What is doubtful but usable.
    """

    content: T
    channel: int | None
    frames: int
    sample_rate: int
    swing: float
    warnings: tuple[str, ...]


def downmix(
    open_again: Callable[[], AbstractContextManager[AudioStream]],
    name: str,
    max_duration_s: float,
    collect: Collect[T],
) -> Downmix[T]:
    """Take the mean of the channels, or the loudest one where they cancel (the audio is then decoded twice).

    Args:
        open_again: starts decoding from the beginning.
        name: of the recording, for messages.
        max_duration_s: decoding stops with an error beyond it.
        collect: gets all blocks of the waveform, perhaps those of the mean before those of the channel.

    Raises:
        InvalidAudioError: an impossible rate or number of channels, no samples, NaN or infinite samples;
            AudioTooLongError: too long.
    """
    with open_again() as stream:
        _check_header(stream, name, max_duration_s)
        mixer = _Mixer(stream, name, max_duration_s)
        collected = collect(mixer.blocks(None), stream.sample_rate)
    if not mixer.frames:
        raise InvalidAudioError(f"{name}: got no samples (0 s of audio), expected speech")
    channel = None
    notes = [*stream.warnings, *mixer.warnings()]
    if mixer.cancels():
        channel = int(np.argmax(mixer.channel_power))
        with open_again() as stream:
            mixer = _Mixer(stream, name, max_duration_s)
            collected = collect(mixer.blocks(channel), stream.sample_rate)
        notes.append(
            f"channels cancel: their mean is near silence; channel {channel + 1} of {stream.channels} is used"
        )
    return Downmix(collected, channel, mixer.frames, stream.sample_rate, mixer.swing, tuple(notes))


def _check_header(stream: AudioStream, name: str, max_duration_s: float) -> None:
    if not MIN_RATE_HZ <= stream.sample_rate <= MAX_RATE_HZ:
        raise InvalidAudioError(
            f"{name}: got a sample rate of {stream.sample_rate} Hz, "
            f"expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz; resample it first"
        )
    if not 1 <= stream.channels <= MAX_CHANNELS:
        hint = "; is the array transposed? expected (channels, samples)" if stream.channels else ""
        raise InvalidAudioError(f"{name}: got {stream.channels} channels, expected 1 to {MAX_CHANNELS}{hint}")
    if stream.duration_s is not None and stream.duration_s > max_duration_s:
        raise _too_long(name, f"{stream.duration_s:.1f} s", max_duration_s)


def _too_long(name: str, got: str, max_duration_s: float) -> AudioTooLongError:
    return AudioTooLongError(
        f"{name}: got {got} of audio, expected at most {max_duration_s:g} s; cut it into parts"
    )


def mono_block(block: np.ndarray, channel: int | None) -> np.ndarray:
    """(frames, channels) to (frames,) float32: the mean of the channels, or the one channel."""
    mono = block.mean(axis=1, dtype=np.float32) if channel is None else block[:, channel]
    return mono.astype(np.float32, copy=False)


class _Mixer:
    """Turns blocks of channels into one waveform and keeps what the checks need."""

    def __init__(self, stream: AudioStream, name: str, max_duration_s: float) -> None:
        self._stream = stream
        self._name = name
        self._max_duration_s = max_duration_s
        self.frames = 0
        self._samples = 0
        self._clipped = 0
        self._peak = 0.0
        self._mean_power = 0.0
        self._low, self._high = math.inf, -math.inf
        self.channel_power = np.zeros(stream.channels)

    def blocks(self, channel: int | None) -> Iterator[np.ndarray]:
        """(T,) float32: the mean of the channels, or the one channel."""
        max_frames = int(self._max_duration_s * self._stream.sample_rate)
        for block in self._stream.blocks:
            self.frames += len(block)
            if self.frames > max_frames:
                raise _too_long(self._name, "more", self._max_duration_s)
            if not np.isfinite(block).all():
                raise InvalidAudioError(
                    f"{self._name}: has NaN or infinite samples, expected finite ones in -1..1"
                )
            mono = mono_block(block, channel)
            self._measure(block, mono)
            yield mono

    def _measure(self, block: np.ndarray, mono: np.ndarray) -> None:
        magnitude = np.abs(block)
        self._samples += block.size
        self._clipped += int(np.count_nonzero(magnitude >= _FULL_SCALE))
        self._peak = max(self._peak, float(magnitude.max(initial=0.0)))
        self.channel_power += np.square(block, dtype=np.float64).sum(axis=0)
        self._mean_power += float(np.square(mono, dtype=np.float64).sum())
        self._low = min(self._low, float(mono.min(initial=math.inf)))
        self._high = max(self._high, float(mono.max(initial=-math.inf)))

    @property
    def swing(self) -> float:
        """Half of the distance between the lowest and the highest sample: an offset is no sound."""
        return max(0.0, (self._high - self._low) / 2)

    def cancels(self) -> bool:
        """Whether the mean of the channels is 20 dB below the channels."""
        power = float(self.channel_power.mean())
        return power > 0 and self._mean_power < _CANCELLED_POWER * power

    def warnings(self) -> Iterator[str]:
        """What is doubtful but usable."""
        rate, expected_s = self._stream.sample_rate, self._stream.duration_s
        if rate < LOW_RATE_HZ:
            yield f"low sample rate: {rate} Hz; speech above {rate // 2} Hz is not in the recording"
        share = self._clipped / self._samples
        if self._peak > _NO_AUDIO_SCALE:
            yield f"beyond full scale: samples reach {self._peak:.4g}, expected -1..1; integers as float?"
        elif share >= _CLIPPED_SHARE:
            yield f"clipped: {100 * share:.1f} % of the samples are at full scale; the voice is distorted"
        if expected_s is not None and self.frames / rate < 0.95 * expected_s - 0.1:
            yield f"damaged: got {self.frames / rate:.1f} s of audio, its header announces {expected_s:.1f} s"
