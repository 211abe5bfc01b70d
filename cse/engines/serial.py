"""The engine that needs nothing: one item after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from cse.engines.engine import Engine, Item, Result, named


class Serial(Engine):
    """Works in the calling process.

    >>> list(Serial().map(len, ["a", "word"], name=str))
    [1, 4]
    """

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, name: Callable[[Item], str]
    ) -> Iterator[Result]:
        """See `Engine.map`."""
        for item in items:
            try:
                result = function(item)
            except Exception as error:
                raise named(error, name(item))  # noqa: B904 - the same error
            yield result
