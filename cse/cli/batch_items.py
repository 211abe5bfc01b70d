"""What `cse extract` works on when it gets a folder or a manifest: recordings with their cues, and where to write."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cse.chat import context_of, open_chat
from cse.cli.outputs import check_no_input
from cse.errors import ConfigError, InvalidAudioError
from cse.history import Turn
from cse.manifest import Mixture, read_mixtures

AUDIO_SUFFIXES = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .m4a .mp4 .aac .amr .3gp .webm .mkv .caf .aif .aiff".split()
)
HISTORY_SUFFIXES = (".txt", ".json")
OUTPUT_SUFFIX = ".wav"
RESULTS = "results.jsonl"
FAILURES = "failures.jsonl"


@dataclass(frozen=True)
class BatchItem:
    """One recording of many.

    Attributes:
        name: What it is called in messages.
        audio: The recording.
        output: The voice, when it is done.
        history: Turns before it, or the file that they are in; None where there is neither.
        enrollment: A recording of the wanted voice alone.
        chat: Name or id of the chat in the file, where it has several.
    """

    name: str
    audio: Path
    output: Path
    history: tuple[Turn, ...] | Path | None
    enrollment: Path | None = None
    chat: str | None = None


def is_batch(audio: str) -> bool:
    """Whether the argument of `cse extract` stands for many recordings: a folder, or a manifest.

    >>> is_batch("mixtures.jsonl"), is_batch("note.ogg")
    (True, False)
    """
    return os.path.isdir(audio) or audio.lower().endswith(".jsonl")


def items_of(
    audio: str,
    output: Path,
    *,
    history: str | None = None,
    enrollment: str | None = None,
    chat: str | None = None,
) -> list[BatchItem]:
    """The recordings of a folder or a manifest, by name.

    Args:
        audio: Folder, whose subfolders are not looked into, or `mixtures.jsonl`.
        output: Folder for the voices.
        history: One file for all recordings of a folder; None is one beside each, of the same name. In a chat export,
            each recording has the turns before the voice note of its name.
        enrollment: One recording for all of a folder.
        chat: Name or id of the chat, where exports have several.

    Raises:
        ConfigError: Options that do not go together, two recordings that would be written to one file, or a voice that
            would be written over what is read.
        InvalidAudioError: No recordings.
        ManifestError: The manifest is wrong, or a file that it names is missing.
        HistoryError: The file for all cannot be used.
    """
    if os.path.isdir(audio):
        if os.path.realpath(audio) == os.path.realpath(output):
            raise ConfigError(
                f"-o {output}: got the folder of the recordings, expected another one: voices are no recordings"
            )
        shared = None if history is None else _shared(history, chat)
        voice = None if enrollment is None else Path(enrollment)
        items = [_beside(path, output, shared, voice, chat) for path in _recordings(Path(audio))]
    else:
        for name, value in (("history", history), ("enrollment", enrollment), ("chat", chat)):
            if value is not None:
                raise ConfigError(
                    f"--{name}: got one for the manifest {audio}, expected none: it has its own in every line"
                )
        items = [_of_line(mixture, output) for mixture in read_mixtures(audio)]
    _check_outputs(items)
    outputs = [*(item.output for item in items), output / RESULTS, output / FAILURES]
    check_no_input("-o", outputs, _inputs(audio, history, items))
    return items


def _inputs(audio: str, history: str | None, items: Iterable[BatchItem]) -> Iterator[str | Path]:
    yield audio
    if history is not None:
        yield history
    for item in items:
        yield item.audio
        if isinstance(item.history, Path):
            yield item.history
        if item.enrollment is not None:
            yield item.enrollment


def _recordings(folder: Path) -> list[Path]:
    try:
        found = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file() and not path.name.startswith(".")
        )
    except OSError as error:
        raise InvalidAudioError(
            f"{folder}: cannot read: {error.strerror}; expected a folder of recordings"
        ) from error
    if not found:
        raise InvalidAudioError(
            f"{folder}: got a folder without recordings, expected files that end in one of "
            f"{', '.join(sorted(AUDIO_SUFFIXES))}; subfolders are not looked into"
        )
    return found


def _shared(history: str, chat: str | None) -> tuple[Turn, ...] | Path:
    """Turns for all recordings, or the chat export in which each has its own."""
    export = open_chat(history)
    if export.format in ("text", "turns"):
        return tuple(context_of(export, chat=chat).turns)
    if not os.path.isfile(history):  # standard input too
        raise ConfigError(
            f"--history {history}: got a chat of {export.format} that can be read only once, expected a file: each "
            "recording has other turns of it"
        )
    return Path(history)


def _beside(
    audio: Path,
    output: Path,
    history: tuple[Turn, ...] | Path | None,
    enrollment: Path | None,
    chat: str | None,
) -> BatchItem:
    if history is None:
        files = [path for suffix in HISTORY_SUFFIXES if (path := audio.with_suffix(suffix)).is_file()]
        if len(files) > 1:
            raise ConfigError(
                f"{audio}: got two histories, {files[0].name} and {files[1].name}, expected one"
            )
        history = files[0] if files else None
    return BatchItem(audio.name, audio, output / f"{audio.stem}{OUTPUT_SUFFIX}", history, enrollment, chat)


def _of_line(mixture: Mixture, output: Path) -> BatchItem:
    stem = re.sub(r"[^\w.-]", "_", mixture.id).lstrip(".") or "_"
    return BatchItem(
        mixture.id, mixture.mixture, output / f"{stem}{OUTPUT_SUFFIX}", mixture.history, mixture.enrollment
    )


def _check_outputs(items: Iterable[BatchItem]) -> None:
    first: dict[str, str] = {}
    for item in items:
        # as on file systems that do not tell capitals from small letters
        other = first.setdefault(item.output.name.lower(), item.name)
        if other != item.name:
            raise ConfigError(
                f"{other} and {item.name}: both would be written to {item.output}; rename one of them"
            )
