"""Lists whose newest message comes first, and lists that are too long to turn round."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cse.chat import limits, open_chat_text, pages
from cse.errors import HistoryError


def items(times: list[Any]) -> list[dict[str, Any]]:
    return [{"type": "message", "user": "U1", "text": str(time), "ts": f"{time}.0"} for time in times]


def texts(value: object) -> list[str]:
    return [message.text for message in open_chat_text(json.dumps(value)).messages()]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([3, 2, 1], ["1", "2", "3"]),
        ([1, 2, 3], ["1", "2", "3"]),
        ([3, 1, 2], ["2", "1", "3"]),  # the first and the last decide
        ([2, 2], ["2", "2"]),
        (["none", 3, 1, "x"], ["x", "1", "3", "none"]),
        ([], []),
    ],
)
def test_the_first_and_the_last_time_decide(times: list[Any], expected: list[str]) -> None:
    if times:
        assert texts({"ok": True, "messages": items(times)}) == expected
        assert texts(items(times)) == expected


def test_a_list_with_the_oldest_first_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_LOOKED_AT", 300)
    times = [1, 2, 3, 4, 5, 9, 8, 7, 0]  # what follows is not looked at
    assert texts({"messages": items(times)}) == [str(time) for time in times]
    assert texts({"messages": items(times[-2::-1])}) == [str(time) for time in times[:-1]]


def test_too_much_to_turn_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_LOOKED_AT", 300)
    export = open_chat_text(json.dumps({"messages": items(list(range(9999, 1000, -1)))}))
    monkeypatch.setattr(limits, "MAX_MEMORY_BYTES", 10_000)
    with pytest.raises(HistoryError, match=r"^line 1: got more than 0 MB of messages with the newest first"):
        list(export.messages())
