"""Audio in and out: the only place through which `cse` reads, writes, downmixes and resamples.

soundfile decodes WAV, FLAC, OGG (Opus, Vorbis), MP3 and more; what it cannot decode (m4a, ADTS AAC, AMR,
webm, CAF with Opus) goes to PyAV, where the extra `cse[codecs]` is installed. The content decides, never the
name of the file.

Warnings that `Recording.warnings` may hold, by their first words:

- `low sample rate`: 4000 to 7999 Hz; speech above half the rate is not in the recording;
- `clipped`: at least 0.1 % of the samples are at full scale;
- `beyond full scale`: floating point samples above 4, usually integers that were not divided by their range;
- `channels cancel`: the mean of the channels is 20 dB below them; the loudest channel is used instead;
- `damaged`: decoding stopped early, packets were skipped, or there is less audio than the header announces.
"""

from __future__ import annotations

import io
import os
import warnings as python_warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Generic, TypeAlias, TypeVar

import numpy as np
import soundfile

from cse.decoding import open_source, open_stream
from cse.downmix import Collect, collect_whole, downmix, mono_block
from cse.errors import CseError, InvalidAudioError
from cse.files import atomic_write
from cse.resampling import resample, resample_blocks
from cse.samples import check_samples, in_memory, open_samples, to_array
from cse.sink import Sink

if TYPE_CHECKING:
    import torch

__all__ = [
    "AudioSource",
    "Collected",
    "Recording",
    "collect_audio",
    "encode_audio",
    "fit_length",
    "load_waveform",
    "read_audio",
    "read_blocks",
    "resample",
    "write_audio",
    "write_blocks",
    "written_rate",
]

T = TypeVar("T")
Samples: TypeAlias = "np.ndarray | torch.Tensor"
AudioSource: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Samples | tuple[Samples, int]"

MAX_DURATION_S = 4 * 3600.0
SILENT_SWING = 1e-4
OPUS_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)

_FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "OPUS"),
    ".oga": ("OGG", "OPUS"),
    ".opus": ("OGG", "OPUS"),
}

WRITABLE_SUFFIXES = tuple(_FORMATS)
"""File name endings that `write_audio` takes."""
_BLOCK_SAMPLES = 2**16


@dataclass(frozen=True)
class Recording:
    """One channel of sound: `waveform` (T,) float32, full scale at ±1, at `sample_rate` Hz."""

    waveform: np.ndarray
    sample_rate: int
    name: str
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / self.sample_rate


@dataclass(frozen=True)
class Collected(Generic[T]):
    """What was made of a recording without holding it, `content`, and what is to be known of the recording."""

    content: T
    channel: int | None  # which one it is; None is the mean of all
    samples: int
    sample_rate: int
    name: str
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate


def read_audio(
    source: AudioSource,
    *,
    sample_rate: int | None = None,
    min_duration_s: float = 0.2,
    max_duration_s: float = MAX_DURATION_S,
) -> Recording:
    """Read a recording at its own rate, as the mean of its channels, and check that it can be worked on.

    Args:
        source: a path; encoded audio as bytes or as a binary file object (read from where it stands); or
            samples, an array or tensor (T,) or (channels, T), floating point with full scale at ±1 or
            integers with that of their type; or a pair of samples and their rate.
        sample_rate: rate of samples in Hz; encoded audio and pairs say their own.
        min_duration_s: the shortest recording that is of use.
        max_duration_s: the longest; asked of the header first, then of what has been decoded so far.

    Returns:
        The recording, with warnings (listed at the top of this module) for what is doubtful but usable.

    Raises:
        InvalidAudioError: no file, a folder, empty, undecodable, 0 or more than 32 channels, too short, too
            long, NaN or infinite, silent (never more than 1e-4 from its middle), a rate below 4000 or above
            192000 Hz.
        MissingExtraError: the format needs the extra `codecs`.

    Example:
        >>> tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
        >>> recording = read_audio(np.stack([tone, -tone]), sample_rate=16000)
        >>> recording.waveform.shape, recording.duration_s, recording.warnings
        ((8000,), 0.5, ('channels cancel: their mean is near silence; channel 1 of 2 is used',))
    """
    collected = collect_audio(
        source,
        collect_whole,
        sample_rate=sample_rate,
        min_duration_s=min_duration_s,
        max_duration_s=max_duration_s,
    )
    return _recording(collected)


def collect_audio(
    source: AudioSource,
    collect: Collect[T],
    *,
    sample_rate: int | None = None,
    min_duration_s: float = 0.2,
    max_duration_s: float = MAX_DURATION_S,
) -> Collected[T]:
    """Read and check a recording as `read_audio` does, but never hold the whole of it.

    Args:
        source: as `read_audio`.
        collect: makes something of the waveform's blocks; only what it makes of the last ones it is given counts.
        sample_rate: as `read_audio`, like all that follows.

    Example:
        >>> tone = 0.5 * np.sin(np.arange(8000))
        >>> loudest = collect_audio(tone, lambda blocks, rate: max(block.max() for block in blocks), sample_rate=8000)
        >>> round(float(loudest.content), 3), loudest.samples
        (0.5, 8000)
    """
    collected, swing = _collect(source, sample_rate, max_duration_s, collect)
    if collected.duration_s < min_duration_s:
        raise InvalidAudioError(
            f"{collected.name}: got {collected.duration_s:.3f} s of audio, "
            f"expected at least {min_duration_s:g} s"
        )
    if swing < SILENT_SWING:
        hint = ""
        if isinstance(source, np.ndarray) and source.dtype.kind in "iu" and source.dtype.itemsize > 2:
            hint = f" of {source.dtype} (are these 16-bit samples? pass them as int16)"
        raise InvalidAudioError(
            f"{collected.name}: is silent, its peak is {swing:.1g} of full scale{hint}; expected speech"
        )
    return collected


def read_blocks(source: AudioSource, *, sample_rate: int | None, channel: int | None) -> Iterator[np.ndarray]:
    """Read once more, in blocks (T,) float32, what was read before: with the same channel, and without the checks.

    Args:
        source: as `read_audio`.
        sample_rate: as `read_audio`.
        channel: as in what `collect_audio` returned.
    """
    if (samples := in_memory(source, sample_rate)) is not None:
        array, rate = check_samples(to_array(samples[0]), samples[1])
        with open_samples(array, rate) as stream:
            yield from (mono_block(block, channel) for block in stream.blocks)
    else:
        with open_source(source) as (file, name), open_stream(file, name) as stream:
            yield from (mono_block(block, channel) for block in stream.blocks)


def load_waveform(path: str | os.PathLike[str], sample_rate: int) -> np.ndarray:
    """Load a file as one channel at the wanted rate: for training, simulation and metrics.

    Silence and any length above 0 are fine here.

    Returns:
        (T,) float32 at `sample_rate`.

    Raises:
        InvalidAudioError: as `read_audio`, but for silent and short files.
        MissingExtraError: the format needs the extra `codecs`.
    """
    recording = _recording(_collect(path, None, MAX_DURATION_S, collect_whole)[0])
    return resample(recording.waveform, recording.sample_rate, sample_rate)


def fit_length(waveform: np.ndarray, length: int) -> np.ndarray:
    """Cut a waveform (..., T) at the end, or add silence there, so that it is (..., length).

    Example:
        >>> fit_length(np.ones(2, np.float32), 3)
        array([1., 1., 0.], dtype=float32)
    """
    missing = length - waveform.shape[-1]
    if missing <= 0:
        return waveform[..., :length]
    return np.pad(waveform, [(0, 0)] * (waveform.ndim - 1) + [(0, missing)])


def write_audio(path: str | os.PathLike[str], waveform: np.ndarray | torch.Tensor, sample_rate: int) -> None:
    """Write a waveform as `.wav`, `.flac` (16 bit), `.ogg`, `.oga` or `.opus` (Opus): complete or not at all.

    Samples beyond ±1 are clipped, with a Python warning. Opus knows 8, 12, 16, 24 and 48 kHz: another rate is
    resampled to the next higher one of these (above 48 kHz to 48 kHz).

    Args:
        path: where to; the folder must exist.
        waveform: (T,) or (channels, T), floating point, full scale at ±1.
        sample_rate: its rate in Hz.

    Raises:
        InvalidAudioError: an unknown suffix, samples that are not finite, a wrong shape.
        CseError: the folder is missing or not writable, or the format does not take this rate or number of
            channels.
    """
    path = Path(path)
    _format(path)
    samples = _samples_to_write(path, waveform)
    _write(path, _blocks_to_write(samples), len(samples), sample_rate)


def write_blocks(path: str | os.PathLike[str], blocks: Iterable[np.ndarray], sample_rate: int) -> None:
    """Do what `write_audio` does with a waveform that comes in blocks (T,) float32 and is never there as a whole."""
    path = Path(path)
    _format(path)
    _write(path, (block[np.newaxis] for block in blocks), 1, sample_rate)


def encode_audio(waveform: np.ndarray | torch.Tensor, sample_rate: int, *, suffix: str) -> bytes:
    """The file that `write_audio` would write, in memory: nothing touches the disk.

    Args:
        waveform: (T,) or (channels, T), floating point, full scale at ±1.
        sample_rate: its rate in Hz.
        suffix: the format, as a suffix of `write_audio`.

    Raises:
        InvalidAudioError: an unknown suffix, samples that are not finite, a wrong shape.
        CseError: the format does not take this rate or number of channels.

    Example:
        >>> encode_audio(np.zeros(1600, np.float32), 16000, suffix=".ogg")[:4]
        b'OggS'
    """
    name = Path(f"audio{suffix}")
    _format(name)
    samples = _samples_to_write(name, waveform)
    stream = io.BytesIO()
    _encode(stream, name, _blocks_to_write(samples), len(samples), sample_rate)
    return stream.getvalue()


def written_rate(path: str | os.PathLike[str], sample_rate: int) -> int:
    """Rate in Hz that a file of this name has when a waveform of `sample_rate` Hz is written to it.

    >>> written_rate("voice.wav", 44100), written_rate("voice.ogg", 44100)
    (44100, 48000)
    """
    rate = int(sample_rate)
    if _format(Path(path))[1] != "OPUS" or rate in OPUS_RATES_HZ:
        return rate
    return min((other for other in OPUS_RATES_HZ if other > rate), default=OPUS_RATES_HZ[-1])


def _format(path: Path) -> tuple[str, str]:
    """libsndfile's names of container and codec."""
    if path.suffix.lower() not in _FORMATS:
        got = f"the format {path.suffix}" if path.suffix else "a file without a suffix"
        raise InvalidAudioError(f"{path}: cannot write {got}, expected {', '.join(_FORMATS)}")
    return _FORMATS[path.suffix.lower()]


def _samples_to_write(path: Path, waveform: np.ndarray | torch.Tensor) -> np.ndarray:
    """(channels, T) floating point."""
    samples = to_array(waveform)
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2) or 0 in samples.shape:
        raise InvalidAudioError(
            f"{path}: cannot write {samples.dtype} of shape {samples.shape}, "
            "expected floating point (T,) or (channels, T)"
        )
    return np.atleast_2d(samples)


def _blocks_to_write(samples: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, samples.shape[1], _BLOCK_SAMPLES):
        yield samples[:, start : start + _BLOCK_SAMPLES]


def _write(path: Path, blocks: Iterable[np.ndarray], channels: int, sample_rate: int) -> None:
    # as a stream, because libsndfile waits for the disk at the end of every file that it opens itself
    with atomic_write(path) as beside, beside.open("w+b") as stream:
        _encode(stream, path, blocks, channels, sample_rate)


def _encode(
    stream: BinaryIO, path: Path, blocks: Iterable[np.ndarray], channels: int, sample_rate: int
) -> None:
    """Write blocks (channels, T) into a stream, in the format of `path`."""
    container, subtype = _format(path)
    from_hz, to_hz = int(sample_rate), written_rate(path, sample_rate)
    peaks: list[float] = []
    sink = Sink(stream)
    try:
        with soundfile.SoundFile(
            sink, "w", samplerate=to_hz, channels=channels, format=container, subtype=subtype
        ) as file:
            for block in resample_blocks(_within_full_scale(path, blocks, peaks), from_hz, to_hz):
                # in small ones, because libsndfile's Ogg encoders put what they get on the stack
                for small in _blocks_to_write(np.clip(block, -1.0, 1.0)):
                    file.write(small.T)
                    sink.check()
        sink.check()
    except (soundfile.LibsndfileError, ValueError) as error:
        sink.check()  # of which this one may only be the consequence
        reason = getattr(error, "error_string", None) or error
        raise CseError(
            f"{path}: cannot write {channels} channels at {to_hz} Hz as {path.suffix}: {reason}"
        ) from error
    if peaks and max(peaks) > 1.0:
        python_warnings.warn(
            f"{path}: samples reach {max(peaks):.3g} and are clipped to -1..1", UserWarning, stacklevel=4
        )


def _within_full_scale(path: Path, blocks: Iterable[np.ndarray], peaks: list[float]) -> Iterator[np.ndarray]:
    """The blocks within ±1, float32; what they reached is added to `peaks`."""
    for block in blocks:
        if not np.isfinite(block).all():
            raise InvalidAudioError(
                f"{path}: cannot write NaN or infinite samples, expected finite ones in -1..1"
            )
        peaks.append(float(np.abs(block).max(initial=0.0)))
        yield np.clip(block, -1.0, 1.0).astype(np.float32, copy=False)


# ---- sources


def _collect(
    source: AudioSource, sample_rate: int | None, max_duration_s: float, collect: Collect[T]
) -> tuple[Collected[T], float]:
    """What `collect` makes of it, and how far the waveform swings from its middle, 1 at full scale."""
    if (samples := in_memory(source, sample_rate)) is not None:
        name = "<samples>"
        array, rate = check_samples(to_array(samples[0]), samples[1])
        mixed = downmix(lambda: open_samples(array, rate), name, max_duration_s, collect)
    elif sample_rate is not None:
        raise InvalidAudioError(
            f"got sample_rate={sample_rate} with encoded audio, which says its own; leave it out"
        )
    else:
        with open_source(source) as (file, name):
            mixed = downmix(lambda: open_stream(file, name), name, max_duration_s, collect)
    collected = Collected(mixed.content, mixed.channel, mixed.frames, mixed.sample_rate, name, mixed.warnings)
    return collected, mixed.swing


def _recording(collected: Collected[np.ndarray]) -> Recording:
    return Recording(collected.content, collected.sample_rate, collected.name, collected.warnings)
