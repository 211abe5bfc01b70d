"""Histories out of files, standard input, and whatever Python callers pass."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from cse.chat import ChatMessage, read_context, read_history, turns_of
from cse.errors import HistoryError
from cse.history import Turn

WHATSAPP = """[01.03.24, 14:05:33] Ana: Where?
[01.03.24, 14:06:33] Ben: \u200e<attached: 00000012-AUDIO-2024-03-01-14-06-33.opus>
[01.03.24, 14:07:33] Ana: See you there
"""
NOTE = "00000012-AUDIO-2024-03-01-14-06-33.opus"


def test_read_history_from_file_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chat.txt").write_bytes("Ana: é".encode())
    assert read_history(tmp_path / "chat.txt") == [Turn("é", "Ana")]
    assert read_history(str(tmp_path / "chat.txt")) == [Turn("é", "Ana")]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Ana: é".encode())))
    assert read_history("-") == [Turn("é", "Ana")]


def test_errors_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chat.json").write_text('[{"text": 5}]')
    with pytest.raises(HistoryError, match=r'chat\.json: line 1: turn 1: "text" is int'):
        read_history(tmp_path / "chat.json")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"A\0")))
    with pytest.raises(HistoryError, match="standard input: line 1: got binary data"):
        read_history("-")


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "is a folder"), ("absent.txt", "no such file"), ("x" * 300, "cannot read"), ("a\0b", "cannot")],
)
def test_read_history_without_a_file(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(HistoryError, match=message):
        read_history(f"{tmp_path}/{name}")


# ---- chat exports


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "_chat.txt"
    path.write_text(WHATSAPP, encoding="utf-8")
    return path


def test_the_context_ends_before_the_voice_note(export: Path) -> None:
    context = read_context(export, audio="00000012-audio-2024-03-01-14-06-33.wav")
    assert context.turns == [Turn("Where?", "Ana", "2024-03-01T14:05:33")]
    assert context.target == "Ben"
    assert context.dropped == {"after the note": 1}
    assert len(read_context(export, audio="other.wav").turns) == 2


def test_errors_about_the_place_name_the_file(export: Path) -> None:
    with pytest.raises(HistoryError, match=r"_chat\.txt: got no message with that file name, id or time"):
        read_context(export, at="other.opus")
    with pytest.raises(HistoryError, match=r"_chat\.txt: got no chat of that name or id"):
        read_context(export, chat="Ana")


def test_turns_of_everything(export: Path) -> None:
    where = Turn("Where?", "Ana", "2024-03-01T14:05:33")
    later = Turn("See you there", "Ana", "2024-03-01T14:07:33")
    assert turns_of(export, audio=NOTE) == [where]
    assert turns_of(WHATSAPP, audio=NOTE) == [where]
    assert turns_of(WHATSAPP.encode()) == [where, later]
    assert turns_of([Turn("a"), "b", {"text": "c"}]) == [Turn("a"), Turn("b"), Turn("c")]
    assert turns_of(iter([ChatMessage("1", "Ana", "a"), ChatMessage("1", "Ana", "")])) == [Turn("a", "Ana")]
    assert turns_of(None) == []
    assert turns_of([]) == []


def test_a_string_is_never_the_name_of_a_file(export: Path) -> None:
    assert turns_of(str(export)) == [Turn(str(export))]


@pytest.mark.parametrize("wrong", [5, {"text": "secret"}, [ChatMessage("1", "Ana", "a"), "secret"], ["a", 5]])
def test_turns_of_something_else(wrong: Any) -> None:
    with pytest.raises(HistoryError) as caught:
        turns_of(wrong)
    assert "secret" not in str(caught.value)
