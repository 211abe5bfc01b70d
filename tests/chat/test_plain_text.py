"""What people paste as plain text, and what becomes of it."""

from __future__ import annotations

import pytest

from cse.chat import parse_history
from cse.history import Turn, render_context


def pairs(text: str | bytes) -> list[tuple[str | None, str]]:
    return [(turn.speaker, turn.text) for turn in parse_history(text)]


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


def test_plain_text_round_trip() -> None:
    turns = [Turn("Where shall we meet?", "Ana"), Turn("At 12:30: sharp.", "Ben"), Turn("Good", "Ana")]
    assert parse_history(render_context(turns)) == turns
