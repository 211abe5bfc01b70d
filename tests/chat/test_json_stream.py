"""JSON that comes in pieces is the same JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cse.chat import limits
from cse.chat.json_stream import ENTER_LIST, ENTER_OBJECT, Cursor, walk
from cse.errors import HistoryError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def pieces(text: str, size: int) -> Iterator[str]:
    return iter([text[start : start + size] for start in range(0, len(text), size)])


def items(text: str, size: int = 1) -> list[Any]:
    steps = walk(Cursor(pieces(text, size)), {(), ("messages",)})
    return [value for path, _, value in steps if path[-1:] == ("*",)]


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 1]), st.integers(1, 9), st.booleans(), VALUES)
def test_items_of_lists(values: list[Any], indent: int | None, size: int, ascii_: bool, other: Any) -> None:
    def text(value: Any) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=ascii_)

    assert items(text(values), size) == values
    assert items(text({"other": other, "messages": values, "last": other}), size) == values


def test_documents() -> None:
    steps = walk(Cursor(pieces('{"a": 1}\n\n{"b": [12]} 3', 2)), set(), documents=True)
    assert [value for _, _, value in steps] == [{"a": 1}, {"b": [12]}, 3]


def test_keys_of_any_name() -> None:
    text = '{"rooms": {"!a": {"events": [1]}, "!b": {"events": [2]}}}'
    containers = {(), ("rooms",), ("rooms", "*"), ("rooms", "*", "events")}
    seen = [(key, value) for _, key, value in walk(Cursor(pieces(text, 3)), containers)]
    assert [key for key, value in seen if value is ENTER_OBJECT] == [None, "rooms", "!a", "!b"]
    assert [value for key, value in seen if key is None and value not in (ENTER_OBJECT, ENTER_LIST)] == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1 2]", "line 1, column 4: broken JSON: Expecting ',' delimiter"),
        ("[1,\n\n 2,]", "line 3, column 4: broken JSON: Expecting value"),
        ("[1", "line 1, column 3: broken JSON"),
        ("[", "line 1, column 2: broken JSON: Expecting value"),
        ('{"messages": [1]} x', "line 1, column 19: broken JSON: Extra data"),
        ('{"messages" [1]}', "line 1, column 13: broken JSON: Expecting ':' delimiter"),
        ('{"messages": [1]', "line 1, column 17: broken JSON: Expecting ',' delimiter"),
        ("{1: 2}", "line 1, column 2: broken JSON: Expecting property name"),
        ('{"other": {"x": [}]}}', "line 1, column"),
        ('{"other": {"x": ', "broken JSON"),
        ('["\\x"]', "line 1, column 3: broken JSON: Invalid \\escape"),
        ("[" + "[" * 200 + "]" * 200 + "]", "line 1: JSON nested too deeply"),
        ('{"other": ' + "[" * 200 + "]" * 200 + "}", "line 1: JSON nested too deeply"),
        ("[" + "9" * 5000 + "]", "line 1: JSON nested too deeply, or with a number that is too long"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_broken(text: str, message: str, size: int) -> None:
    with pytest.raises(HistoryError) as caught:
        items(text, size)
    assert message in str(caught.value)


def test_a_value_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MESSAGE_CHARACTERS", 100)
    monkeypatch.setattr("cse.chat.json_stream.CHUNK_BYTES", 16)
    with pytest.raises(HistoryError, match="^line 2: got a message of more than"):
        items('\n["' + "x" * 300 + '"]')
