"""Stretches of long recordings as files of their own: hours of a call or of a talk become one file an utterance.

A recording is opened once and read only where its stretches are, in blocks: the memory that this takes does not grow
with the length of the recording. A stretch that cannot be used is left out with its reason, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from cse.engines.engine import Engine
from cse.files import atomic_write

TOLERANCE_S = (
    0.5  # transcripts often end a little after their recording; words that are missing would be longer
)
SILENT_PEAK = 3  # of 32768: no more than the rounding of a silent line
_BLOCK_FRAMES = 2**16
_FORMATS = {".flac": "FLAC", ".wav": "WAV"}

Kind = Literal[
    "no recording",
    "unreadable recording",
    "no such channel",
    "no length",
    "beyond the end",
    "silence",
    "damaged",
]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A part of a recording that becomes a file of its own.

    Attributes:
        id: Names it in reports.
        start_s: Where it begins in the recording.
        end_s: Where it ends.
        output: Where to, `.flac` or `.wav`.
        channel: Which channel, from 0; None is the mean of all. A recording of one channel has only that.
    """

    id: str
    start_s: float
    end_s: float
    output: Path
    channel: int | None = None


@dataclass(frozen=True, kw_only=True)
class LongRecording:
    """A recording in any format that soundfile reads (NIST sphere too), and what is to be cut out of it."""

    path: Path
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True)
class CutFile:
    """A stretch that is now a file."""

    path: Path
    duration_s: float
    sample_rate: int


@dataclass(frozen=True)
class LeftOut:
    """What could not be used: `kind` in two or three words, `reason` with the numbers."""

    id: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Cut:
    """What became of the stretches of one recording: files by id, and what was left out."""

    files: dict[str, CutFile]
    left_out: tuple[LeftOut, ...]


def cut_recordings(recordings: Iterable[LongRecording], *, engine: Engine) -> Iterator[Cut]:
    """Cut many recordings, each in one go, wherever the engine works; results in the order of `recordings`.

    Raises:
        CseError: A folder cannot be written to.
    """
    return engine.map(cut_recording, recordings, name=_name)


def cut_recording(recording: LongRecording) -> Cut:
    """Cut all stretches of one recording into mono files of 16 bits at its own rate.

    A file says in its comment where it is from; one that an earlier run cut from there is kept. A stretch that
    ends up to half a second after the recording ends with it. From a recording of 16 bits, one channel is copied
    bit by bit.

    Raises:
        CseError: A folder cannot be written to.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> call = np.random.default_rng(0).integers(-999, 999, (8000, 2), dtype=np.int16)
    >>> soundfile.write(folder / "call.wav", call, 8000)
    >>> stretch = Stretch(id="a", start_s=0.25, end_s=0.75, output=folder / "a.flac", channel=1)
    >>> late = Stretch(id="b", start_s=1.5, end_s=2.0, output=folder / "b.flac")
    >>> cut = cut_recording(LongRecording(path=folder / "call.wav", stretches=(stretch, late)))
    >>> samples, _ = soundfile.read(folder / "a.flac", dtype="int16")
    >>> cut.files["a"].duration_s, bool((samples == call[2000:6000, 1]).all())
    (0.5, True)
    >>> cut.left_out
    (LeftOut(id='b', kind='beyond the end', reason='begins at 1.5 s, but the recording ends at 1 s'),)
    """
    try:
        source = soundfile.SoundFile(recording.path)
    except (soundfile.LibsndfileError, OSError) as error:
        return _nothing(recording, *_why_unreadable(recording.path, error))
    files: dict[str, CutFile] = {}
    left_out = []
    with source:
        for stretch in sorted(recording.stretches, key=lambda stretch: stretch.start_s):
            try:
                files[stretch.id] = _cut(source, stretch)
            except _Unusable as problem:
                left_out.append(LeftOut(stretch.id, problem.kind, problem.reason))
    return Cut(files, tuple(left_out))


class _Unusable(Exception):
    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def _name(recording: LongRecording) -> str:
    return str(recording.path)


def _why_unreadable(path: Path, error: Exception) -> tuple[Kind, str]:
    if not path.is_file():
        return "no recording", f"no file {path}"
    detail = getattr(error, "error_string", None) or str(error)
    hint = "; if it is compressed by shorten, unpack it with sox" if path.suffix == ".sph" else ""
    return "unreadable recording", f"{path} cannot be read ({detail.rstrip('.')}){hint}"


def _nothing(recording: LongRecording, kind: Kind, reason: str) -> Cut:
    return Cut({}, tuple(LeftOut(stretch.id, kind, reason) for stretch in recording.stretches))


def _cut(source: soundfile.SoundFile, stretch: Stretch) -> CutFile:
    start, frames = _frames(source, stretch)
    channel = 0 if source.channels == 1 and stretch.channel is not None else stretch.channel
    if channel is not None and not 0 <= channel < source.channels:
        raise _Unusable("no such channel", f"asks for channel {channel} of {source.channels}")
    origin = f"{Path(source.name).name}, samples {start} to {start + frames}, channel {channel}"
    if not _was_cut(stretch.output, frames, origin):
        stretch.output.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(stretch.output) as beside:
            _copy(source, start, frames, channel, beside, origin)
    return CutFile(stretch.output, frames / source.samplerate, source.samplerate)


def _frames(source: soundfile.SoundFile, stretch: Stretch) -> tuple[int, int]:
    """First frame and number of frames of a stretch."""
    rate, length_s = source.samplerate, source.frames / source.samplerate
    if not 0 <= stretch.start_s < stretch.end_s:
        raise _Unusable("no length", f"is from {stretch.start_s:g} s to {stretch.end_s:g} s")
    if stretch.start_s >= length_s:
        raise _Unusable(
            "beyond the end", f"begins at {stretch.start_s:g} s, but the recording ends at {length_s:g} s"
        )
    if stretch.end_s > length_s + TOLERANCE_S:
        raise _Unusable("beyond the end", f"ends at {stretch.end_s:g} s, but the recording at {length_s:g} s")
    start, end = round(stretch.start_s * rate), min(round(stretch.end_s * rate), source.frames)
    if end <= start:
        raise _Unusable("no length", f"is shorter than a sample ({stretch.end_s - stretch.start_s:.2g} s)")
    return start, end - start


def _was_cut(path: Path, frames: int, origin: str) -> bool:
    """Whether an earlier run made this file, of the same samples; files appear only when they are complete."""
    if not path.is_file():
        return False
    try:
        with soundfile.SoundFile(path) as file:
            return bool(file.frames == frames and file.comment == origin)
    except soundfile.LibsndfileError:
        return False


def _copy(
    source: soundfile.SoundFile, start: int, frames: int, channel: int | None, output: Path, origin: str
) -> None:
    peak = 0
    # as a stream, because libsndfile waits for the disk at the end of every file that it opens itself
    with (
        output.open("w+b") as stream,
        soundfile.SoundFile(
            stream, "w", source.samplerate, 1, format=_FORMATS[output.suffix], subtype="PCM_16"
        ) as file,
    ):
        file.comment = origin
        for block in _blocks(source, start, frames):
            samples = block[:, channel] if channel is not None else _mean(block)
            peak = max(peak, int(samples.max()), -int(samples.min()))
            file.write(samples)
    if peak <= SILENT_PEAK:
        raise _Unusable("silence", f"is silent: no sample is above {peak} of 32768")


def _blocks(source: soundfile.SoundFile, start: int, frames: int) -> Iterator[np.ndarray]:
    """Blocks (frames, channels) of 16 bits; integers, because those of a 16-bit recording come out as they are."""
    try:
        source.seek(start)
        while frames:
            block = source.read(min(frames, _BLOCK_FRAMES), dtype="int16", always_2d=True)
            if not len(block):
                raise _Unusable("damaged", f"lacks its last {frames} samples")
            frames -= len(block)
            yield block
    except soundfile.LibsndfileError as error:
        raise _Unusable("damaged", f"cannot be decoded ({error.error_string.rstrip('.')})") from error


def _mean(block: np.ndarray) -> np.ndarray:
    return np.rint(block.mean(axis=1)).astype(np.int16)
