"""Encoded audio as blocks of samples: by soundfile, or by PyAV where soundfile cannot. Used by `cse.audio` only."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import soundfile

from cse.errors import InvalidAudioError, MissingExtraError, one_line

_BLOCK_FRAMES = 65536
# libsndfile's number of frames where the header does not say
_UNKNOWN_FRAMES = 2**62
# Containers of voice notes and of what people attach. A playlist (HLS, concat) is none of them: it would make FFmpeg open
# other files and addresses.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,loas,amr,amrnb,amrwb,caf,ogg,mp3,wav,w64,flac,aiff,asf,avi,flv,mpegts,ac3,eac3"
)
# where each container says what it is: (offset, bytes)
_NEEDS_CODECS = (
    (4, b"ftyp"), (0, b"\xff\xf1"), (0, b"\xff\xf9"), (0, b"#!AMR"), (0, b"caff"), (0, b"\x1aE\xdf\xa3"), (0, b"0&\xb2u"),
)  # fmt: skip


@dataclass
class AudioStream:
    """Audio that is being decoded: `blocks` gives float32 arrays (frames, channels), each once."""

    sample_rate: int
    channels: int
    duration_s: float | None  # by the header, which may be missing or wrong
    blocks: Iterator[np.ndarray]
    warnings: list[str] = field(default_factory=list)


@contextmanager
def open_stream(file: BinaryIO, name: str) -> Iterator[AudioStream]:
    """Start decoding a seekable binary file from its beginning; `name` is for messages.

    Raises:
        InvalidAudioError: no decoder takes it.
        MissingExtraError: it takes PyAV, which is not installed.
    """
    file.seek(0)
    try:
        # the descriptor of a real file: soundfile would guess the format from a name
        sound = soundfile.SoundFile(file if isinstance(file, io.BytesIO) else file.fileno(), closefd=False)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = one_line(error).rpartition(": ")[2]
    else:
        with sound:
            yield _soundfile_stream(sound)
        return
    with _open_av(file, name, reason) as stream:
        yield stream


def _soundfile_stream(sound: soundfile.SoundFile) -> AudioStream:
    def blocks() -> Iterator[np.ndarray]:
        decoded = 0
        while True:
            try:
                block = sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                stream.warnings.append(f"damaged: decoding stopped after {decoded / sound.samplerate:.1f} s")
                return
            if not len(block):
                return
            decoded += len(block)
            yield block

    known = 0 < sound.frames < _UNKNOWN_FRAMES
    duration_s = sound.frames / sound.samplerate if known and sound.samplerate else None
    stream = AudioStream(sound.samplerate, sound.channels, duration_s, blocks())
    return stream


# ---- PyAV


@contextmanager
def _open_av(file: BinaryIO, name: str, reason: str) -> Iterator[AudioStream]:
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    try:
        import av
    except ImportError:
        if any(head[offset : offset + len(magic)] == magic for offset, magic in _NEEDS_CODECS):
            raise MissingExtraError(feature=f"{name}: decoding this audio format", extra="codecs", package="av") from None
        raise InvalidAudioError(
            f"{name}: no audio that can be decoded ({reason}); expected WAV, FLAC, OGG/Opus or MP3, "
            'or for m4a, AAC, AMR, webm, CAF type: pip install "cse[codecs]"'
        ) from None
    undecodable = f"{name}: no audio that can be decoded; expected WAV, FLAC, OGG/Opus, MP3, m4a, AAC, AMR, webm or CAF"
    try:
        container = av.open(_Unnamed(file), mode="r", options={"format_whitelist": _CONTAINERS}, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        raise InvalidAudioError(f"{undecodable} ({one_line(error)})") from error
    with container:
        if not container.streams.audio:
            raise InvalidAudioError(f"{name}: has no audio track, expected one")
        source = container.streams.audio[0]
        first, frames, warnings = _first_frame(container, source)
        if first is None:
            raise InvalidAudioError(f"{undecodable} (no frame of its audio track decodes)")
        duration_s = None
        if source.duration is not None and source.time_base is not None:
            duration_s = float(source.duration * source.time_base)
        elif container.duration is not None:
            duration_s = container.duration / 1e6
        # rate and channels of the frames, not of the header: HE-AAC declares half of its rate
        channels = first.layout.nb_channels
        yield AudioStream(first.sample_rate, channels, duration_s, _av_blocks(first, frames), warnings)


class _Unnamed:
    """A file without its name, from which FFmpeg would guess the format, and without more than FFmpeg needs."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def _first_frame(container: Any, source: Any) -> tuple[Any, Iterator[Any], list[str]]:
    warnings: list[str] = []
    frames = _av_frames(container, source, warnings)
    return next(frames, None), frames, warnings


def _av_frames(container: Any, source: Any, warnings: list[str]) -> Iterator[Any]:
    """Decoded frames; damaged packets are skipped as players do, and counted."""
    import av

    skipped = 0
    packets = container.demux(source)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            warnings.append(f"damaged: decoding stopped early ({one_line(error)})")
            break
        if packet is None:
            break
        try:
            frames = packet.decode()
        except av.FFmpegError:
            skipped += 1
            continue
        yield from frames
    if skipped:
        warnings.append(f"damaged: {skipped} packets that do not decode were skipped")


def _av_blocks(first: Any, frames: Iterator[Any]) -> Iterator[np.ndarray]:
    import av

    resampler = av.AudioResampler(format="fltp", layout=first.layout, rate=first.sample_rate)

    def block(frame: Any) -> np.ndarray:
        return np.ascontiguousarray(frame.to_ndarray().T, dtype=np.float32)

    yield from map(block, resampler.resample(first))
    for frame in frames:
        yield from map(block, resampler.resample(frame))
    yield from map(block, resampler.resample(None))
