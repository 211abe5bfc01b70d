"""Buttons in a messenger that has none: who reacts to a message with a symbol has pressed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

SYMBOL = "▶️"
_MOST = 2000


@dataclass
class Pressable:
    """A message with a button.

    Attributes:
        key: What is pressed.
        shown_by: The bot's own reaction, below which others find the symbol; None where there is none.
    """

    key: str
    shown_by: str | None = None


class Buttons:
    """The last messages that can be reacted to, each once.

    >>> buttons = Buttons()
    >>> buttons.add("!a:x", "$1", Pressable("k"))
    >>> buttons.take("!b:x", "$1"), buttons.take("!a:x", "$1").key, buttons.take("!a:x", "$1")
    (None, 'k', None)
    """

    def __init__(self) -> None:
        self._messages: OrderedDict[tuple[str, str], Pressable] = OrderedDict()  # the oldest first

    def add(self, room: str, event: str, pressable: Pressable) -> None:
        """Let a message be reacted to."""
        self._messages[room, event] = pressable
        if len(self._messages) > _MOST:
            self._messages.popitem(last=False)

    def take(self, room: str, event: str) -> Pressable | None:
        """What is pressed by a reaction to an event; None if there is nothing to press any more."""
        return self._messages.pop((room, event), None)
