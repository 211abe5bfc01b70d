"""Who may come in: a bounded queue in front of the workers, and a bound on what is held in memory."""

from __future__ import annotations

import asyncio
from types import TracebackType

from cse.service.errors import ServiceError
from cse.service.metrics import Metrics

_LONGEST_RETRY_S = 60


class Admission:
    """Lets so many work at once, in the order in which they came, so many wait, and turns the others away.

    Args:
        running: How many work at once.
        max_waiting: How many wait.
        metrics: Shows how many wait.
    """

    def __init__(self, *, running: int, max_waiting: int, metrics: Metrics) -> None:
        self._turns = asyncio.Semaphore(running)
        self._places = running + max_waiting
        self._running = running
        self._inside = 0
        self._mean_work_s = 1.0
        self._closed = False
        self._metrics = metrics

    @property
    def idle(self) -> bool:
        """Whether nobody works or waits."""
        return self._inside == 0

    @property
    def closed(self) -> bool:
        """Whether nobody may come in any more."""
        return self._closed

    def close(self) -> None:
        """Let those inside finish, and nobody else in."""
        self._closed = True

    def enter(self) -> Ticket:
        """Take a place, to be left by closing the ticket.

        Raises:
            ServiceError: `busy` or `shutting_down`.
        """
        if self._closed:
            raise ServiceError("shutting_down", "the service is being shut down; try again", retry_after_s=5)
        if self._inside >= self._places:
            raise self.busy()
        return Ticket(self)

    def busy(self) -> ServiceError:
        """Of someone who is turned away: with the time after which there is likely to be a place."""
        seconds = self._mean_work_s * max(1, self._inside) / self._running
        retry_after_s = min(_LONGEST_RETRY_S, max(1, round(seconds)))
        return ServiceError("busy", "too many requests at once; try again later", retry_after_s=retry_after_s)

    def took(self, work_s: float) -> None:
        """Learn how long work takes."""
        self._mean_work_s += 0.1 * (work_s - self._mean_work_s)


class Ticket:
    """A place inside; `with` gives it back.

    Attributes:
        has_turn: Whether its work has begun.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._admission._inside += 1
        self.has_turn = False
        self._left = False

    async def turn(self, wait_limit_s: float | None) -> None:
        """Wait until it is this one's turn to work.

        Raises:
            ServiceError: `busy`, if that took too long.
        """
        with self._admission._metrics.waiting.track_inprogress():
            try:
                async with asyncio.timeout(wait_limit_s):
                    await self._admission._turns.acquire()
            except TimeoutError:
                raise self._admission.busy() from None
        self.has_turn = True

    def leave(self) -> None:
        """Give the place back; once is enough."""
        if self._left:
            return
        self._left = True
        self._admission._inside -= 1
        if self.has_turn:
            self._admission._turns.release()

    def __enter__(self) -> Ticket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


class Budget:
    """Bytes of bodies and results that may be held at once, by everybody together.

    >>> budget = Budget(10, metrics=Metrics())
    >>> budget.take(6)
    >>> budget.take(6)
    Traceback (most recent call last):
    cse.service.errors.ServiceError: too much is being sent at once; try again later
    """

    def __init__(self, max_bytes: int, *, metrics: Metrics) -> None:
        self._max_bytes = max_bytes
        self._held = 0
        self._metrics = metrics

    def take(self, count: int, *, force: bool = False) -> None:
        """Count bytes as held.

        Raises:
            ServiceError: `busy`, if there would be too many, and not `force`.
        """
        if not force and self._held + count > self._max_bytes:
            raise ServiceError("busy", "too much is being sent at once; try again later", retry_after_s=5)
        self._held += count
        self._metrics.held_bytes.set(self._held)

    def give_back(self, count: int) -> None:
        """Count bytes as let go."""
        self._held -= count
        self._metrics.held_bytes.set(self._held)
