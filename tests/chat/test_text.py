"""Bytes that are text, and bytes that are none."""

from __future__ import annotations

import io

import pytest

from cse.chat import limits, parse_history
from cse.chat.text import CHUNK_BYTES, numbered_lines, text_chunks
from cse.errors import HistoryError


def pairs(text: str | bytes) -> list[tuple[str | None, str]]:
    return [(turn.speaker, turn.text) for turn in parse_history(text)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    assert pairs("Zoë: ça va\nBen: oui".encode(encoding)) == [("Zoë", "ça va"), ("Ben", "oui")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("Ana: ok\nZoë: ça".encode("latin-1"), "line 2: got bytes that are no UTF-8 text; save it as UTF-8"),
        (b"\xff\xfeA\x00\x00", "no UTF-16 text"),
        (b"Ana: ok\nA\0B", "line 2: got binary data"),
        (b"OggS\0\x02 voice", "audio or binary data"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio or binary data"),
        (b"ID3\x04\0", "audio or binary data"),
        (b"\0\0\0\x20ftypM4A ", "audio or binary data"),
        (b"\x89PNG\r\n\x1a\n", "line 1: got bytes"),
    ],
)
def test_bytes_that_are_no_text(data: bytes, message: str) -> None:
    with pytest.raises(HistoryError, match=message):
        parse_history(data)


def test_characters_and_marks_across_chunks() -> None:
    text = "x" * (CHUNK_BYTES - 2) + "é🌸\n" * CHUNK_BYTES
    for encoding in ("utf-8-sig", "utf-16"):
        assert "".join(text_chunks(io.BytesIO(text.encode(encoding)))) == text


def test_the_line_of_an_error_far_behind() -> None:
    data = b"Ana: ok\n" * (CHUNK_BYTES // 4) + b"\xff\n"
    with pytest.raises(HistoryError, match=f"^line {CHUNK_BYTES // 4 + 1}: got bytes that are no UTF-8"):
        parse_history(data)
    with pytest.raises(HistoryError, match=f"^line {CHUNK_BYTES // 4 + 1}: got binary data"):
        parse_history(data.replace(b"\xff", b"\0"))


def test_lines_end_at_line_feeds_only() -> None:
    assert list(numbered_lines(["a\u2028b\x85c", "\r\n\nd"])) == [(1, "a\u2028b\x85c"), (2, ""), (3, "d")]


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MESSAGE_CHARACTERS", 10)
    with pytest.raises(HistoryError, match=r"^line 2: got a message of more than"):
        parse_history("Ana: ok\n" + "x" * 11)
    with pytest.raises(HistoryError, match=r"^line 1: got a message of more than"):
        parse_history("[01.03.24, 14:05:33] A: x\n" + "yyyy\n" * 5)
    monkeypatch.setattr(limits, "MAX_MEMORY_BYTES", 2**20)
    with pytest.raises(HistoryError, match="got 2 MB of history, expected at most 1 MB"):
        parse_history("x" * 2**21)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 2**19)
    with pytest.raises(HistoryError, match="line 2: got more than 0 MB"):
        parse_history("\n" + "x" * 2**19)


def test_a_line_of_millions_of_blanks_takes_no_time() -> None:
    assert parse_history(" " * 2_000_000 + "x" + " " * 2_000_000 + "y" * 2_000_000 + ": z") != []
