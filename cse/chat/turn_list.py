"""Turns in JSON: `[{"speaker", "text"}]`, OpenAI-style `[{"role", "content"}]`, strings, in a list or one a line.

This is what programs write, so an item of another form is an error and not an oddity.
"""

from __future__ import annotations

from collections.abc import Iterator

from cse.chat.fields import object_of
from cse.chat.json_stream import ITEM, Path
from cse.chat.message import ChatMessage
from cse.chat.pages import Pages
from cse.history import Turn, read_turn

_PATHS = (ITEM, ("messages", "*"), ("history", "*"))


class TurnList:
    """Reads the steps through a list of turns."""

    name = "turns"
    containers: frozenset[Path] = frozenset({(), ("messages",), ("history",)})
    pages = Pages()

    def __init__(self) -> None:
        self._list: Path | None = None
        self._number = 0

    @staticmethod
    def claims(path: Path, item: object) -> bool:
        """Whether an item is a turn, or only looks like nothing else."""
        return path in _PATHS and (
            isinstance(item, str) or bool({"text", "content"} & object_of(item).keys())
        )

    def read(self, path: Path, key: str | None, value: object) -> Iterator[ChatMessage]:
        """The turn in one step.

        Raises:
            HistoryError: The item is no turn.
        """
        if path not in _PATHS:
            return
        if self._list not in (None, path):  # the first list counts
            return
        self._list = path
        self._number += 1
        turn = read_turn(value, self._number)
        yield _message(turn, str(self._number), value)


def _message(turn: Turn | None, number: str, item: object) -> ChatMessage:
    if turn is None:
        role = object_of(item).get("role")
        return ChatMessage(
            None, role if isinstance(role, str) else None, "", kind="system" if role else "other", id=number
        )
    return ChatMessage(turn.speaker, turn.speaker, turn.text, turn.time, id=number)
