"""Work in lines: one thing after the other in each chat, and all chats at once."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

log = logging.getLogger("cse.bots")
Work = Callable[[], Awaitable[None]]


@dataclass
class _Line:
    waiting: deque[tuple[Work, bool]]
    counted: int = 0
    task: asyncio.Task[None] | None = None


class Lines:
    """A line for each chat that has something to do.

    Args:
        max_waiting: Of one line; what comes when it is full is dropped.
    """

    def __init__(self, *, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._lines: dict[str, _Line] = {}

    def counted(self, name: str) -> int:
        """How much of what counts waits in a line or is being done."""
        line = self._lines.get(name)
        return 0 if line is None else line.counted

    def put(self, name: str, work: Work, *, counts: bool = False) -> bool:
        """Do something when all before it in the line is done; False if the line is full.

        Args:
            name: Of the line.
            work: What to do; called once.
            counts: Whether it counts in `counted`.
        """
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _Line(deque())
            line.task = asyncio.create_task(self._go(name, line))
        elif len(line.waiting) >= self._max_waiting:
            return False
        line.waiting.append((work, counts))
        line.counted += counts
        return True

    def cancel(self, name: str) -> None:
        """Stop what runs in a line, and drop what waits."""
        if (line := self._lines.pop(name, None)) is not None:
            line.waiting.clear()
            if line.task is not None:
                line.task.cancel()

    async def drain(self, limit_s: float) -> bool:
        """Wait until everything is done; what is not by then is stopped, and the answer is False."""
        end_s = asyncio.get_running_loop().time() + limit_s
        while self._lines:
            tasks = [line.task for line in self._lines.values() if line.task is not None]
            left_s = end_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                for name in list(self._lines):
                    self.cancel(name)
                await asyncio.gather(*tasks, return_exceptions=True)
                return False
            await asyncio.wait(tasks, timeout=left_s)
        return True

    async def _go(self, name: str, line: _Line) -> None:
        while line.waiting:
            work, counts = line.waiting.popleft()
            try:
                await work()
            except Exception as error:
                log.error("%s", trace_of(error))
            line.counted -= counts
        if self._lines.get(name) is line:  # after `cancel` there may be another one
            del self._lines[name]


def trace_of(error: BaseException) -> str:
    """Where something went wrong, without the message of the exception, which may quote what people said.

    >>> try:
    ...     raise KeyError("words of a chat")
    ... except KeyError as error:
    ...     "words of a chat" in trace_of(error).splitlines()[0]
    False
    """
    return type(error).__name__ + "\n" + "".join(traceback.format_tb(error.__traceback__))
