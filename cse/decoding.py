"""Encoded audio as blocks of samples, by soundfile or else by PyAV; reached through `cse.audio`."""

from __future__ import annotations

import io
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from cse.errors import InvalidAudioError, MissingExtraError, one_line

MAX_BYTES_IN_MEMORY = 2**30  # of encoded audio that comes as a stream
_MAX_NAME = 300  # characters, in messages

_BLOCK_FRAMES, _STEP_FRAMES = 65536, 4096
# libsndfile's number of frames where the header does not say
_UNKNOWN_FRAMES = 2**62
# Containers of voice notes and of what people attach. A playlist (HLS, concat) is none of them: it would make
# FFmpeg open other files and addresses.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,loas,amr,amrnb,amrwb,caf,ogg,mp3,wav,w64,flac,aiff,asf,avi,"
    "flv,mpegts,ac3,eac3"
)
# how formats that need PyAV begin: (offset, bytes)
_NEEDS_CODECS = (
    (4, b"ftyp"), (0, b"\xff\xf1"), (0, b"\xff\xf9"), (0, b"#!AMR"), (0, b"caff"), (0, b"\x1aE\xdf\xa3"),
    (0, b"0&\xb2u"),
)  # fmt: skip


@dataclass
class AudioStream:
    """Audio that is being decoded: `blocks` gives float32 arrays (frames, channels), each once."""

    sample_rate: int
    channels: int
    duration_s: float | None  # as the header says, where it can be relied on
    blocks: Iterator[np.ndarray]
    warnings: list[str] = field(default_factory=list)


@contextmanager
def open_source(source: Any) -> Iterator[tuple[BinaryIO, str]]:
    """Give encoded audio (path, bytes or binary file object) as a seekable file, with its name for messages.

    Raises:
        InvalidAudioError: there is nothing to read, or `source` is something else.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield _in_memory(bytes(source), "<bytes>"), "<bytes>"
    elif isinstance(source, str | os.PathLike):
        with _open_path(Path(source)) as file:
            name = os.fspath(source)
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                yield _in_memory(_read_all(file, name), name), name
            elif status.st_size == 0:
                raise InvalidAudioError(f"{name}: is empty (0 bytes), expected an audio file")
            else:
                yield file, name
    elif callable(getattr(source, "read", None)):
        label = getattr(source, "name", None)
        name = label if isinstance(label, str) and label else "<file object>"
        yield _in_memory(_read_all(source, name), name), name
    else:
        raise InvalidAudioError(
            f"got {type(source).__name__}, expected a path, bytes, a binary file object, an array or a tensor"
        )


def _open_path(path: Path) -> BinaryIO:
    if os.path.isdir(path):
        raise InvalidAudioError(f"{path}: is a folder, expected an audio file")
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise InvalidAudioError(f"{path}: no such file, expected an audio file") from None
    except (OSError, ValueError) as error:
        name = str(path)
        shown = name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}…"  # it may be all but a name
        raise InvalidAudioError(
            f"{shown}: cannot read: {getattr(error, 'strerror', None) or error}"
        ) from error


def _read_all(file: Any, name: str) -> bytes:
    """What is left in a file object; formats with an index at the end need to seek, which a pipe cannot."""
    try:
        data = file.read(MAX_BYTES_IN_MEMORY + 1)
    except (OSError, ValueError) as error:
        raise InvalidAudioError(f"{name}: cannot read: {one_line(error)}") from error
    if not isinstance(data, bytes | bytearray):
        raise InvalidAudioError(
            f"{name}: read() gave {type(data).__name__}, expected bytes; open it in binary mode"
        )
    if len(data) > MAX_BYTES_IN_MEMORY:
        raise InvalidAudioError(
            f"{name}: more than {MAX_BYTES_IN_MEMORY // 2**20} MB as a stream; pass it as a file"
        )
    return bytes(data)


def _in_memory(data: bytes, name: str) -> io.BytesIO:
    if not data:
        raise InvalidAudioError(f"{name}: is empty (0 bytes), expected audio; is a file object at its end?")
    return io.BytesIO(data)


# ---- soundfile


@contextmanager
def open_stream(file: BinaryIO, name: str) -> Iterator[AudioStream]:
    """Start decoding a seekable binary file from its beginning; `name` is for messages.

    Raises:
        InvalidAudioError: no decoder takes it.
        MissingExtraError: it takes PyAV, which is not installed.
    """
    file.seek(0)
    try:
        # the descriptor of a real file: from a file with a name soundfile would guess the format
        sound = _Sequential(file if isinstance(file, io.BytesIO) else file.fileno(), closefd=False)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
    else:
        with sound:
            yield _soundfile_stream(sound)
        return
    with _open_av(file, name, reason) as stream:
        yield stream


class _Sequential(soundfile.SoundFile):
    """Reads on where it stopped; otherwise soundfile seeks after each read, which an MP3 decoder hears."""

    def seekable(self) -> bool:
        return False


def _soundfile_stream(sound: soundfile.SoundFile) -> AudioStream:
    # of an MP3 without a header of its own the length is only estimated
    known = 0 < sound.frames < _UNKNOWN_FRAMES and sound.format != "MP3" and sound.samplerate > 0
    stream = AudioStream(
        sound.samplerate, sound.channels, sound.frames / sound.samplerate if known else None, iter(())
    )
    stream.blocks = _soundfile_blocks(sound, stream.warnings)
    return stream


def _soundfile_blocks(sound: soundfile.SoundFile, warnings: list[str]) -> Iterator[np.ndarray]:
    while True:
        block = np.empty((_BLOCK_FRAMES, sound.channels), np.float32)
        filled = 0
        try:
            # in small steps, because what a damaged step had decoded is lost
            while filled < _BLOCK_FRAMES and (
                got := len(sound.read(out=block[filled : filled + _STEP_FRAMES]))
            ):
                filled += got
        except soundfile.LibsndfileError as error:
            warnings.append(f"damaged: decoding stopped early ({error.error_string.rstrip('.')})")
            if filled:
                yield block[:filled]
            return
        if not filled:
            return
        yield block[:filled]


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
            raise MissingExtraError(
                feature=f"{name}: this audio format", extra="codecs", package="av"
            ) from None
        raise InvalidAudioError(
            f"{name}: no audio that can be decoded ({reason}); expected WAV, FLAC, OGG/Opus or MP3, "
            'or for m4a, AAC, AMR, webm, CAF type: pip install "cse[codecs]"'
        ) from None
    expected = "expected WAV, FLAC, OGG/Opus, MP3, m4a, AAC, AMR, webm or CAF, complete from its beginning"
    try:
        container = av.open(
            _Unnamed(file), mode="r", options={"format_whitelist": _CONTAINERS}, metadata_errors="ignore"
        )
    except (av.FFmpegError, ValueError) as error:
        detail = getattr(error, "strerror", None) or one_line(error)
        raise InvalidAudioError(f"{name}: no audio that can be decoded ({detail}); {expected}") from error
    with container:
        if not container.streams.audio:
            raise InvalidAudioError(f"{name}: has no audio track, expected one")
        source = container.streams.audio[0]
        warnings: list[str] = []
        frames = _av_frames(container, source, warnings)
        first = next(frames, None)
        if first is None:
            raise InvalidAudioError(
                f"{name}: no audio that can be decoded (no frame of its track); {expected}"
            )
        duration_s = None
        if source.duration is not None and source.time_base is not None:
            duration_s = float(source.duration * source.time_base)
        # rate and channels of the frames, not of the header: HE-AAC declares half of its rate
        blocks = _av_blocks(first, frames, warnings)
        yield AudioStream(first.sample_rate, first.layout.nb_channels, duration_s, blocks, warnings)


class _Unnamed:
    """A file without its name, from which FFmpeg would guess the format."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def _av_frames(container: Any, source: Any, warnings: list[str]) -> Iterator[Any]:
    """Decoded frames; damaged packets are skipped, as players do, and counted."""
    import av

    skipped = 0
    packets = container.demux(source)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, LookupError, ValueError) as error:
            warnings.append(f"damaged: decoding stopped early ({one_line(error)})")
            break
        if packet is None:
            break
        try:
            frames = packet.decode()
        except (av.FFmpegError, LookupError, ValueError):
            skipped += 1
            continue
        yield from frames
    if skipped:
        warnings.append(f"damaged: {skipped} packets do not decode and were skipped")


def _av_blocks(first: Any, frames: Iterator[Any], warnings: list[str]) -> Iterator[np.ndarray]:
    import av

    channels = first.layout.nb_channels
    pending: list[np.ndarray] = []
    length = 0
    parts = _packed(first, frames)
    while True:
        try:
            part = next(parts, None)
        except (av.FFmpegError, LookupError, ValueError) as error:
            # damaged files make frames that the resampler refuses
            warnings.append(f"damaged: decoding stopped early ({one_line(error)})")
            part = None
        if part is not None:
            pending.append(part.to_ndarray().reshape(-1, channels))
            length += len(pending[-1])
        if pending and (part is None or length >= _BLOCK_FRAMES):
            yield np.concatenate(pending)
            pending, length = [], 0
        if part is None:
            return


def _packed(first: Any, frames: Iterator[Any]) -> Iterator[Any]:
    """Frames as packed floating point, in the rate and layout of the first, which a stream may leave.

    Packed, because PyAV reads beyond the planes of planar frames with 8 channels and more.
    """
    import av

    current: tuple[str, str, int] | None = None
    resampler: Any = None
    for frame in itertools.chain((first,), frames):
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != current:
            if resampler is not None:
                yield from resampler.resample(None)
            resampler = av.AudioResampler(format="flt", layout=first.layout, rate=first.sample_rate)
            current = setup
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)
