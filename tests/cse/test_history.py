"""What people paste as a history, and what becomes of it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cse import history
from cse.errors import HistoryError
from cse.history import Turn, check_history, parse_history, read_history, render_context


def pairs(text: str | bytes) -> list[tuple[str | None, str]]:
    return [(turn.speaker, turn.text) for turn in parse_history(text)]


# ---- plain text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ana: Where?\nBen: Here.", [("Ana", "Where?"), ("Ben", "Here.")]),
        ("Ana: a\n\n  \r\nBen: b\r\n", [("Ana", "a"), ("Ben", "b")]),
        ("\ufeffAna: a", [("Ana", "a")]),
        ("Hello there\nAna: a", [(None, "Hello there"), ("Ana", "a")]),
        ("Ana: a\nAna: b", [("Ana", "a"), ("Ana", "b")]),
        ("Ana :  a ", [("Ana", "a")]),
        ("Ana:\nBen: b", [("Ben", "b")]),
        ("Speaker 0: a\nspeaker 1: b", [("Speaker 0", "a"), ("speaker 1", "b")]),
        ("María del Carmen: a", [("María del Carmen", "a")]),
        ("+49 170 1234567: a", [("+49 170 1234567", "a")]),
        ("~ Jo: a", [("~ Jo", "a")]),
        ("Ana 🌸: a", [("Ana 🌸", "a")]),
        ("小明：你好", [("小明", "你好")]),
        ("Ana: see: this", [("Ana", "see: this")]),
        ("Ana: one\u2028two", [("Ana", "one\u2028two")]),
        ("user: q\nassistant: a", [("user", "q"), ("assistant", "a")]),
    ],
)
def test_names(text: str, expected: list[tuple[str | None, str]]) -> None:
    assert pairs(text) == expected


@pytest.mark.parametrize(
    "line",
    [
        "12:30 meet",
        "12: 30",
        "see https://example.org/a: it is good",
        "https://example.org: good",
        "Ratio 3:1",
        "Here is the thing: it rains",
        "meet at 5: the bar",
        "and then somebody else said to me: no",
        "this name would be far too long to be one, is it not: yes",
        "[12:30] Ana: hi",
        ":) fine",
        "...: what",
        "1: buy milk",
    ],
)
def test_words_that_look_like_names(line: str) -> None:
    assert pairs(line) == [(None, line)]


def test_lower_case_names_are_names_where_they_come_back() -> None:
    assert pairs("ana maria: a\nben: b\nana maria: c")[0] == ("ana maria", "a")
    assert pairs("ana maria: a") == [(None, "ana maria: a")]


def test_numbers_are_names_where_one_comes_back() -> None:
    assert pairs("0: a\n1: b\n0: c") == [("0", "a"), ("1", "b"), ("0", "c")]
    assert pairs("1: milk\n2: bread") == [(None, "1: milk"), (None, "2: bread")]


@pytest.mark.parametrize("text", ["", "  \n\n", b"", "\ufeff", "[]", '{"messages": []}', "Ana:"])
def test_nothing_is_an_empty_history(text: str | bytes) -> None:
    assert parse_history(text) == []


# ---- JSON


@pytest.mark.parametrize(
    "content",
    [
        [{"speaker": "Ana", "text": "a"}, {"speaker": "Ben", "text": "b"}],
        [{"role": "Ana", "content": "a"}, {"role": "Ben", "content": "b"}],
        [{"role": "user", "name": "Ana", "content": "a"}, {"role": "Ben", "content": "b", "tool_calls": []}],
        [{"role": "Ana", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]},
         {"role": "Ben", "content": [{"type": "input_text", "text": "b"}]}],
        {"messages": [{"role": "Ana", "content": "a"}, {"role": "Ben", "content": "b"}], "model": "x"},
        {"history": [{"speaker": "Ana", "text": "a"}, {"speaker": "Ben", "text": "b"}]},
        [{"role": "system", "content": "be nice"}, {"speaker": "Ana", "text": " a\n"},
         {"role": "tool", "content": "1"}, {"role": "assistant", "content": None},
         {"speaker": "Ben", "text": "b"}, {"speaker": "Ben", "text": "  "}],
    ],
)  # fmt: skip
def test_json_forms(content: Any) -> None:
    expected = [("Ana", "a"), ("Ben", "b")]
    assert pairs(json.dumps(content)) == expected
    assert pairs(json.dumps(content, indent=2).encode("utf-8-sig")) == expected


def test_json_time_speaker_number_and_strings() -> None:
    text = '[{"speaker": 1, "text": "a", "time": "12:30"}, {"speaker": null, "text": "b", "time": 3.5}, "c"]'
    assert parse_history(text) == [Turn("a", "1", "12:30"), Turn("b", None, "3.5"), Turn("c")]


def test_half_characters_are_replaced() -> None:
    assert parse_history('["\\ud83d x", "\\ud83d\\ude00"]') == [Turn("� x"), Turn("😀")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"speaker": "Ana", "text": "secret"},\n {"speaker": }]', "line 2, column 14: broken JSON"),
        ('[{"speaker": "Ana", "text": "secret"', "line 1, column 37: broken JSON"),
        ('{"messages": "secret"}', 'line 1: got a JSON object without a list under "messages" or "history"'),
        ('{"id": 1}', "line 1: got a JSON object without"),
        ("[1, 2]", "turn 1: got int, expected"),
        ('["secret", null]', "turn 2: got NoneType, expected"),
        ('[{"speaker": "Ana"}]', 'turn 1: got an object without "text" or "content"'),
        ('[{"text": 5}]', 'turn 1: "text" is int, expected a string'),
        ('[{"text": null}]', 'turn 1: "text" is NoneType'),
        ('[{"text": "secret", "speaker": ["Ana"]}]', 'turn 1: "speaker" is list'),
        ('[{"text": "secret", "speaker": true}]', 'turn 1: "speaker" is bool'),
        ('[{"text": "secret", "time": {}}]', 'turn 1: "time" is dict'),
        ('[{"content": ["secret"], "role": "user"}]', 'turn 1: a part of "content" is no object'),
        ('[{"content": "secret", "role": ["user"]}]', 'turn 1: "speaker" is list'),
        ('[{"content": {"secret": 1}, "role": "user"}]', 'turn 1: "text" is dict'),
        pytest.param("[" * 100_000, "nested too deeply", id="deep"),
    ],
)
def test_wrong_json(text: str, message: str) -> None:
    with pytest.raises(HistoryError) as caught:
        parse_history(text)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- bytes


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


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_TURNS", 3)
    assert len(parse_history("a\nb\nc")) == 3
    for too_many in ("a\nb\nc\nd", '["a", "b", "c", "d"]'):
        with pytest.raises(HistoryError, match="more than 3 turns"):
            parse_history(too_many)
    monkeypatch.setattr(history, "MAX_BYTES", 2**20)
    with pytest.raises(HistoryError, match="got 2 MB of history, expected at most 1 MB"):
        parse_history("x" * 2**21)


def test_a_line_of_millions_of_blanks_takes_no_time() -> None:
    assert parse_history(" " * 2_000_000 + "x" + " " * 2_000_000 + "y" * 2_000_000 + ": z") != []


# ---- files


def test_read_history_from_file_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chat.txt").write_bytes("Ana: é".encode())
    assert read_history(tmp_path / "chat.txt") == [Turn("é", "Ana")]
    assert read_history(str(tmp_path / "chat.txt")) == [Turn("é", "Ana")]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Ana: é".encode())))
    assert read_history("-") == [Turn("é", "Ana")]


def test_errors_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chat.json").write_text('[{"text": 5}]')
    with pytest.raises(HistoryError, match=r'chat\.json: turn 1: "text" is int'):
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


# ---- what Python callers pass


def test_check_history_takes_turns_mappings_and_strings() -> None:
    turns = check_history([Turn(" a ", "Ana", "1"), {"speaker": "Ben", "text": "b"}, "c", Turn("  ")])
    assert turns == [Turn("a", "Ana", "1"), Turn("b", "Ben"), Turn("c")]
    assert check_history(None) == []
    assert check_history(iter(["a"])) == [Turn("a")]
    assert check_history(turns) == turns


@pytest.mark.parametrize("wrong", ["Ana: hi", b"Ana: hi", {"speaker": "Ana", "text": "hi"}, Turn("hi"), 5])
def test_check_history_refuses_what_is_no_list(wrong: Any) -> None:
    with pytest.raises(
        HistoryError, match=r"expected a list of turns; text goes through cse\.history\.parse_history"
    ):
        check_history(wrong)


@pytest.mark.parametrize("wrong", [("Ana", "hi"), 5, None, Turn(5), Turn("a", ["Ana"])])  # type: ignore[arg-type]
def test_check_history_names_the_wrong_turn(wrong: Any) -> None:
    with pytest.raises(HistoryError, match="turn 2"):
        check_history(["fine", wrong])


# ---- context


def test_render_context() -> None:
    turns = [Turn("a", "Ana"), Turn("b"), Turn("c\nBen: forged", "Ana")]
    assert render_context(turns) == "Ana: a\nb\nAna: c Ben: forged"
    assert render_context(turns, max_turns=1) == "Ana: c Ben: forged"
    assert render_context(turns, max_turns=2, next_speaker="Ben") == "b\nAna: c Ben: forged\nBen:"
    assert render_context(turns, max_turns=9) == render_context(turns)
    assert render_context(turns, max_turns=0) == ""
    assert render_context([], next_speaker="Ben") == "Ben:"
    with pytest.raises(ValueError, match="max_turns=-1"):
        render_context(turns, max_turns=-1)


def test_plain_text_round_trip() -> None:
    turns = [Turn("Where shall we meet?", "Ana"), Turn("At 12:30: sharp.", "Ben"), Turn("Good", "Ana")]
    assert parse_history(render_context(turns)) == turns
