"""Answers of an API that lists messages: brought into the order of time, as most list the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cse.chat import limits
from cse.chat.fields import object_of
from cse.chat.json_stream import ITEM, Cursor, Path, Step
from cse.errors import HistoryError

_LOOKED_AT: Final = 8 * 2**20  # characters, after which a list whose oldest come first passes through


@dataclass(frozen=True)
class Pages:
    """What an answer holds.

    Attributes:
        order: Paths of its lists in the order of time; of an object that is one item by itself, too.
        time: The key of an item's time, a number or one as text.
    """

    order: tuple[Path, ...] = ()
    time: str = ""


def oldest_first(steps: Iterable[Step], pages: Pages, cursor: Cursor) -> Iterator[Step]:
    """Hand on the steps through an answer, the items of its lists in the order of time.

    Args:
        steps: In the order of the text.
        pages: What the answer holds; everything else passes through, before it.
        cursor: In that text.

    Raises:
        HistoryError: More than 50 MB are newest first.

    >>> steps = [(ITEM, None, {"ts": "2"}), (ITEM, None, {"ts": "1"})]
    >>> [item for _, _, item in oldest_first(steps, Pages(((),), "ts"), Cursor(iter("")))]
    [{'ts': '1'}, {'ts': '2'}]
    """
    held: dict[Path, list[Step]] = {}
    passing = turning = False
    for step in steps:
        page = step[0][:-1]
        if passing or step[0][-1:] != ITEM or page not in pages.order:
            yield step
            continue
        held.setdefault(page, []).append(step)
        if cursor.read > _LOOKED_AT and not turning:
            turning = _is_newest_first(held[page], pages.time)
            passing = not turning
            if passing:
                yield from _in_order(held, pages)
                held.clear()
        if cursor.read > limits.MAX_MEMORY_BYTES and turning:
            raise HistoryError(
                f"line {cursor.line}: got more than {limits.MAX_MEMORY_BYTES // 2**20} MB of messages with the "
                "newest first, expected fewer, or the oldest first; turn the list round"
            )
    yield from _in_order(held, pages)


def _in_order(held: dict[Path, list[Step]], pages: Pages) -> Iterator[Step]:
    for page in pages.order:
        steps = held.get(page, [])
        yield from reversed(steps) if _is_newest_first(steps, pages.time) else steps


def _is_newest_first(steps: list[Step], key: str) -> bool:
    """Whether the first time is later than the last; those between may be out of order."""
    first, last = (
        next((time for _, _, item in items if (time := _time(object_of(item).get(key))) is not None), None)
        for items in (steps, reversed(steps))
    )
    return first is not None and last is not None and first > last


def _time(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
