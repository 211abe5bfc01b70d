"""From bytes to checked text, piece by piece: what a chat file holds never has to fit into memory.

Errors name the line, and never quote what people wrote.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from cse.chat import limits
from cse.errors import HistoryError

CHUNK_BYTES = 2**18
# how audio begins: (offset, bytes)
_SIGNATURES = (
    (0, b"OggS"),
    (0, b"RIFF"),
    (0, b"fLaC"),
    (0, b"ID3"),
    (0, b"#!AMR"),
    (0, b"caff"),
    (4, b"ftyp"),
)


def text_chunks(stream: BinaryIO) -> Iterator[str]:
    """Decode a stream of UTF-8 (or UTF-16 with a byte order mark), without the mark.

    Raises:
        HistoryError: It is no text, or more than 4 GiB.

    >>> import io
    >>> list(text_chunks(io.BytesIO("\\ufeffé".encode())))
    ['é']
    """
    data = stream.read(CHUNK_BYTES)
    _refuse_audio(data)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    decoder = codecs.getincrementaldecoder(encoding)()
    read, lines = 0, 1
    while True:
        read += len(data)
        if read > limits.MAX_FILE_BYTES:
            raise HistoryError(
                f"line {lines}: got more than {limits.MAX_FILE_BYTES // 2**20} MB, expected fewer; cut off the old part"
            )
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            line = lines + error.object.count(b"\n", 0, error.start)
            name = "UTF-16" if encoding == "utf-16" else "UTF-8"
            raise HistoryError(f"line {line}: got bytes that are no {name} text; save it as UTF-8") from None
        zero = text.find("\0")
        if zero >= 0:
            raise HistoryError(
                f"line {lines + text.count(chr(10), 0, zero)}: got binary data (a zero byte), expected the text of "
                "the conversation"
            )
        if text:
            lines += text.count("\n")
            yield text
        if not data:
            return
        data = stream.read(CHUNK_BYTES)


def numbered_lines(chunks: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Split at line feeds and nowhere else, as people's messages hold other characters that split (U+2028, U+0085).

    Raises:
        HistoryError: A line has more than 8 Mi characters.

    >>> list(numbered_lines(["a\\r", "\\nb", "c"]))
    [(1, 'a'), (2, 'bc')]
    """
    number, rest = 0, ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        for line in lines:
            number += 1
            _check_length(line, number)
            yield number, line.removesuffix("\r")
        _check_length(rest, number + 1)
    if rest:
        yield number + 1, rest.removesuffix("\r")


def _check_length(line: str, number: int) -> None:
    if len(line) > limits.MAX_MESSAGE_CHARACTERS:
        raise too_long(number)


def too_long(line: int) -> HistoryError:
    """The error for a line, a message or a JSON value without an end."""
    return HistoryError(
        f"line {line}: got a message of more than {limits.MAX_MESSAGE_CHARACTERS // 2**20} million characters, "
        "expected a shorter one; is this a chat?"
    )


def _refuse_audio(data: bytes) -> None:
    for offset, signature in _SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            raise HistoryError(
                "line 1: this is audio or binary data, expected the text of the conversation; swapped files?"
            )
