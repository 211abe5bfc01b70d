"""Where a chat comes from: a file, standard input, a text, or a ZIP of files. It can be read more than once."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cse.chat import limits
from cse.chat.text import numbered_lines, text_chunks
from cse.errors import HistoryError, one_line

ZIP_SIGNATURE = b"PK\x03\x04"


@dataclass(frozen=True)
class TextFile:
    """One file of text.

    Attributes:
        name: What it is called in messages; None for what the caller passed as a text.
        open: Opens it from its beginning.
        member: Its path in the ZIP that it is in.
    """

    name: str | None
    open: Callable[[], BinaryIO] = field(repr=False)
    member: str | None = None

    def chunks(self) -> Iterator[str]:
        """The text, piece by piece.

        Raises:
            HistoryError: It cannot be read, or is no text.
        """
        with closing(self.open()) as stream:
            try:
                yield from text_chunks(stream)
            except OSError as error:
                raise HistoryError(f"cannot read: {error.strerror or 'the file is damaged'}") from None

    def lines(self) -> Iterator[tuple[int, str]]:
        """The lines with their numbers, from 1."""
        return numbered_lines(self.chunks())


def open_text(source: str | bytes) -> TextFile:
    """A text that is in memory.

    Raises:
        HistoryError: It is longer than 50 MB, or neither text nor bytes.
    """
    if not isinstance(source, str | bytes):
        raise HistoryError(f"got {type(source).__name__}, expected the history as text")
    if len(source) > limits.MAX_MEMORY_BYTES:
        raise HistoryError(
            f"got {len(source) / 2**20:.0f} MB of history, expected at most {limits.MAX_MEMORY_BYTES // 2**20} MB; "
            "name a file instead"
        )
    data = source if isinstance(source, bytes) else source.encode("utf-8", "replace")
    return TextFile(None, lambda: io.BytesIO(data))


def open_standard_input() -> TextFile:
    """What stands in standard input, which is read to its end here.

    Raises:
        HistoryError: It is longer than 50 MB.
    """
    data = sys.stdin.buffer.read(limits.MAX_MEMORY_BYTES + 1)
    try:
        return TextFile("standard input", open_text(data).open)
    except HistoryError as error:
        raise HistoryError(f"standard input: {error}") from None


def open_file(path: str | os.PathLike[str]) -> TextFile:
    """A file that is there.

    Raises:
        HistoryError: There is no such file, or it is a folder, too large or not to be read.
    """
    name = os.fspath(path)
    wanted = "expected a text or JSON file with the conversation, or a chat export"
    if os.path.isdir(name):  # unlike Path.is_dir never raises
        raise HistoryError(f"{name}: is a folder, {wanted}")
    try:
        size = Path(name).stat().st_size
        with Path(name).open("rb") as file:
            seekable = file.seekable()
            data = b"" if seekable else file.read(limits.MAX_MEMORY_BYTES + 1)
    except FileNotFoundError:
        raise HistoryError(f"{name}: no such file; {wanted}") from None
    except (OSError, ValueError) as error:
        raise HistoryError(f"{name}: cannot read: {getattr(error, 'strerror', None) or error}") from None
    if not seekable:  # a pipe: it can be read once only
        try:
            return TextFile(name, open_text(data).open)
        except HistoryError as error:
            raise HistoryError(f"{name}: {error}") from None
    if size > limits.MAX_FILE_BYTES:
        raise HistoryError(
            f"{name}: got {size / 2**20:.0f} MB, expected at most {limits.MAX_FILE_BYTES // 2**20} MB; cut off the "
            "old part"
        )
    return TextFile(name, lambda: _open(name))


def _open(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise HistoryError(f"cannot read: {one_line(error)}") from None
