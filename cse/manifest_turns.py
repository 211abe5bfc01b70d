"""Histories of a whole manifest, in which equal turns are one object; used by `cse.manifest`."""

from __future__ import annotations

from typing import Any

from cse import manifest_fields as fields
from cse.errors import HistoryError
from cse.history import MAX_TURNS, Turn, check_history

_Key = tuple[tuple[str, Any], ...]


class SharedTurns:
    """Reads the histories of one manifest, each different turn once.

    In a manifest every turn of a dialogue comes back in the histories of all turns after it: 100,000 utterances with 20
    turns before each hold two million turns, of which a twentieth are different. Looking a turn up is also quicker than
    checking it again.

    >>> read = SharedTurns()
    >>> first, second = read([{"text": "Hi"}]), read([{"text": "Hi"}, {"text": "Hello"}])
    >>> first[0] is second[0], len(second)
    (True, 2)
    """

    def __init__(self) -> None:
        self._known: dict[_Key, Turn | None] = {}

    def __call__(self, value: Any) -> tuple[Turn, ...]:
        """Take a list of turns from JSON; null is an empty one.

        Raises:
            ValueError: It is no list.
            HistoryError: A turn is of another form, or there are too many; the message says which turn.
        """
        if type(value) is not list or len(value) > MAX_TURNS:
            return fields.history(value)
        try:
            turns = [self._turn(item) for item in value]
        except HistoryError:
            return fields.history(value)  # says which turn it is
        return tuple([turn for turn in turns if turn is not None])

    def _turn(self, item: Any) -> Turn | None:
        """The turn, or None where it has no words."""
        if type(item) is not dict:
            return _checked(item)
        key: _Key = tuple(item.items())
        try:
            return self._known[key]
        except TypeError:  # parts of words in a list
            return _checked(item)
        except KeyError:
            turn = _checked(item)
            # true, 1 and 1.0 are equal as keys, and are not the same name
            if all(type(part) is str or part is None for part in item.values()):
                self._known[key] = turn
            return turn


def _checked(item: Any) -> Turn | None:
    return next(iter(check_history([item])), None)
