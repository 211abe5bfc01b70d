"""Turns in JSON, as programs write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cse.chat import open_chat_text, parse_history
from cse.errors import HistoryError
from cse.history import Turn


def pairs(text: str | bytes) -> list[tuple[str | None, str]]:
    return [(turn.speaker, turn.text) for turn in parse_history(text)]


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


def test_one_turn_a_line_and_a_lone_turn() -> None:
    assert pairs('{"speaker": "Ana", "text": "a"}\n\n{"role": "user", "content": "b"}\n') == [
        ("Ana", "a"),
        ("user", "b"),
    ]
    assert pairs('{"speaker": "Ana", "text": "a"}') == [("Ana", "a")]


def test_errors_name_the_line_of_the_turn() -> None:
    with pytest.raises(HistoryError, match=r"^line 3: turn 2: got int"):
        parse_history('[\n"secret",\n5]')


def test_what_nobody_said_is_counted() -> None:
    chat = '[{"role": "system", "content": "x"}, {"role": "user", "content": ""}, {"role": "user", "content": "a"}]'
    assert [message.kind for message in open_chat_text(chat).messages()] == ["system", "system", "text"]
