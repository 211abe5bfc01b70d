"""One worker process, as the service sees it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context

from cse.engines.pool import arithmetic_threads
from cse.service.messages import Message, receive, send
from cse.service.worker import Role, run_worker


class WorkerGoneError(Exception):
    """The process of a worker ended while it was asked."""


class WorkerProcess:
    """A process that does what its role says, from its start to its end.

    `hello` and `ask` block, and are called in threads; all else is called in the event loop.

    Args:
        role: What it does.
        threads: Of arithmetic; read by libraries when they are loaded.

    Attributes:
        gone: Set when the process has ended.
    """

    def __init__(self, role: Role, *, threads: int) -> None:
        context = get_context("spawn")
        self._tasks, tasks = context.Pipe()
        stops, self._stops = context.Pipe(duplex=False)
        self._process = context.Process(target=run_worker, args=(role, tasks, stops), daemon=True)
        self._asked = 0
        self.gone = asyncio.Event()
        with arithmetic_threads(threads):
            self._process.start()
        tasks.close()  # the other ends are the worker's alone, so that we hear when it dies
        stops.close()
        asyncio.get_running_loop().add_reader(self._process.sentinel, self._ended)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid or 0

    @property
    def exit_code(self) -> int | None:
        """As in `multiprocessing`: below 0 is a signal; None while it runs."""
        return self._process.exitcode if self.gone.is_set() else None

    def hello(self) -> Message:
        """Wait until the worker has loaded what it needs.

        Raises:
            WorkerGoneError: It ended.
        """
        try:
            return receive(self._tasks)
        except (EOFError, OSError):
            raise WorkerGoneError from None

    def next_number(self) -> int:
        """By which a task can be stopped."""
        self._asked += 1
        return self._asked

    def ask(self, message: Message, number: int) -> Message:
        """Wait for the answer to a message.

        Raises:
            WorkerGoneError: The worker ended.
        """
        try:
            send(self._tasks, replace(message, header={**message.header, "number": number}))
            return receive(self._tasks)
        except (EOFError, OSError):
            raise WorkerGoneError from None

    def stop(self, number: int) -> None:
        """Ask the worker to give up a task; its answer will say that it did."""
        with suppress(OSError):
            self._stops.send_bytes(str(number).encode())

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        if not self.gone.is_set():
            self._process.kill()

    def close(self) -> None:
        """Give back what the ended process held."""
        self._tasks.close()
        self._stops.close()

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        self.gone.set()
