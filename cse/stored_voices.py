"""The file of a `VoiceBook`: what is in it, and how several processes read and write it without harm."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from cse.errors import VoiceBookError, one_line
from cse.files import atomic_write

FORMAT = 1
MAX_BYTES = 64 * 2**20
_MAX_SIZE = 4096  # of an embedding; published ones have 192 to 512 numbers


@dataclass(frozen=True, kw_only=True)
class StoredVoice:
    """What is kept of one sender: no sound and no word of what was said.

    Attributes:
        mean: Of the speaker embeddings, each of length 1; the shorter it is, the less the messages agree.
        encoder: `identity` of the voice encoder that they are from.
        same_above: Its cosine above which two embeddings are rather of one talker than of two.
        messages: How many messages it was learnt from.
        speech_s: How much speech these held.
        refused: How many messages sounded like somebody else,
        refused_in_a_row: and how many of them came after the last one that did not.
        first: Day of the first message, as 2025-01-31.
        last: Day of the last message that was learnt from.
    """

    mean: tuple[float, ...]
    encoder: str
    same_above: float
    messages: int
    speech_s: float
    refused: int
    refused_in_a_row: int
    first: str
    last: str

    @property
    def vector(self) -> np.ndarray:
        """(D,) float32 of length 1."""
        mean = np.array(self.mean)
        return (mean / np.linalg.norm(mean)).astype(np.float32)


@dataclass(kw_only=True)
class StoredVoices:
    """The content of the file.

    Attributes:
        key_check: What the key makes of a fixed text where the names of senders are hashed with one; None where they
            are kept as they are.
        voices: By sender, those first that were not learnt from for longest.
    """

    key_check: str | None = None
    voices: dict[str, StoredVoice] = field(default_factory=dict)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep all other processes and threads that ask for the same out: to read, change and write the file as one step.

    An empty file beside it holds the lock, because the file itself is replaced at every change.

    Raises:
        VoiceBookError: The folder is missing or not writable.
    """
    path = Path(os.path.realpath(path))
    lock = path.with_name(f".{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise VoiceBookError(
            f"{path}: cannot write: {error.strerror}; name a file in a folder that exists and may be written to"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_voices(path: Path) -> StoredVoices:
    """Read the file; one that is not there holds nothing.

    Raises:
        VoiceBookError: It cannot be read, or is not as `write_voices` leaves it.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise VoiceBookError(f"{path}: got more than {MAX_BYTES // 2**20} MB, expected a voice book")
        data = path.read_bytes()
    except FileNotFoundError:
        return StoredVoices()
    except OSError as error:
        raise VoiceBookError(f"{path}: cannot read: {error.strerror}; expected a voice book") from error
    try:
        return _parse(json.loads(data.decode("utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise VoiceBookError(
            f"{path}: is no voice book, or damaged: {one_line(error)}; it was left as it is: put it right, or move it "
            "away to begin anew"
        ) from None


def write_voices(path: Path, stored: StoredVoices) -> None:
    """Replace the file, complete or not at all, readable and writable by its owner only.

    Raises:
        CseError: The folder is missing or not writable.
    """
    content = {
        "format": FORMAT,
        "key_check": stored.key_check,
        "voices": {sender: asdict(voice) for sender, voice in stored.voices.items()},
    }
    with atomic_write(path) as beside:
        beside.chmod(0o600)  # before there is anything in it
        beside.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="ascii")


def _parse(content: Any) -> StoredVoices:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        got = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"got format {got!r}, expected {FORMAT}")
    key_check, voices = content.get("key_check"), content.get("voices")
    if not isinstance(key_check, str | None) or not isinstance(voices, dict):
        raise ValueError("expected key_check, a text or null, and an object of voices")
    return StoredVoices(
        key_check=key_check,
        voices={sender: _voice(number, entry) for number, (sender, entry) in enumerate(voices.items(), 1)},
    )


def _voice(number: int, entry: Any) -> StoredVoice:
    """One sender; messages give its number, never its name."""
    names = [one.name for one in fields(StoredVoice)]
    if not isinstance(entry, Mapping) or sorted(entry) != sorted(names):
        raise ValueError(f"voice {number}: expected {', '.join(names)}")
    mean = entry["mean"]
    if (
        not isinstance(mean, list)
        or not 0 < len(mean) <= _MAX_SIZE
        or not all(map(_is_number, mean))
        or not any(mean)
    ):
        raise ValueError(f"voice {number}: mean: expected up to {_MAX_SIZE} numbers, not all of them 0")
    for name in ("messages", "refused", "refused_in_a_row"):
        if type(entry[name]) is not int or entry[name] < 0:
            raise ValueError(f"voice {number}: {name}: expected a whole number, 0 or more")
    for name in ("same_above", "speech_s"):
        if not _is_number(entry[name]):
            raise ValueError(f"voice {number}: {name}: expected a number")
    for name in ("first", "last", "encoder"):
        if not isinstance(entry[name], str):
            raise ValueError(f"voice {number}: {name}: expected a text")
    date.fromisoformat(entry["first"])
    date.fromisoformat(entry["last"])
    return StoredVoice(**{**entry, "mean": tuple(map(float, mean))})


def _is_number(value: Any) -> bool:
    # compared, because an integer of 400 digits is no floating point number
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
