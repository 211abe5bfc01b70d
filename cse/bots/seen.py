"""Updates come again when a messenger does not know whether they arrived: each counts once."""

from __future__ import annotations

from collections import OrderedDict


class Seen:
    """The last ids, of which each is new once.

    Args:
        size: How many to remember.

    >>> seen = Seen(size=2)
    >>> [seen.is_new(number) for number in (1, 1, 2, 3, 1)]
    [True, False, True, True, True]
    """

    def __init__(self, *, size: int = 10_000) -> None:
        self._size = size
        self._ids: OrderedDict[object, None] = OrderedDict()

    def is_new(self, number: object) -> bool:
        """Whether this id did not come before; from now on it did."""
        if number in self._ids:
            return False
        self._ids[number] = None
        if len(self._ids) > self._size:
            self._ids.popitem(last=False)
        return True
