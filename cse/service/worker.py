"""A worker process: it loads once, then answers one message after the other until the service is gone."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Protocol

from cse.service.errors import code_of, message_of
from cse.service.messages import Message, receive, send


class Role(Protocol):
    """What a worker does. Made in the service, sent to the process by pickle, loaded there."""

    def load(self) -> dict[str, Any]:
        """Get ready, and describe what was loaded in plain values."""
        ...

    def work(self, task: Message, should_stop: Callable[[], bool]) -> Message:
        """Answer a message; errors of users are `CseError`."""
        ...


def run_worker(role: Role, tasks: Connection, stops: Connection) -> None:
    """Be a worker until the other end of `tasks` closes.

    Args:
        role: What to do.
        tasks: Messages in, answers out; the first answer says that the worker is ready.
        stops: Numbers of tasks that nobody waits for any more.
    """
    # the service sees to it that work is finished when it is told to end; both signals may reach all its processes
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would leave people's voices on the disk
    threading.Thread(target=_end_with_parent, daemon=True).start()
    stopped = _Stopped(stops)
    answer = _attempt(lambda: Message({"ready": role.load()}))
    try:
        send(tasks, answer)
        while "ready" in answer.header:
            send(tasks, _answer(role, receive(tasks), stopped))
    except (EOFError, OSError):
        return


def _answer(role: Role, task: Message, stopped: _Stopped) -> Message:
    number = task.header["number"]
    return _attempt(lambda: role.work(task, lambda: stopped.holds(number)))


class _Stopped:
    """Which task was stopped, as far as the service has said."""

    def __init__(self, stops: Connection) -> None:
        self._stops = stops
        self._latest = -1

    def holds(self, number: int) -> bool:
        """Whether this task was stopped."""
        try:
            while self._stops.poll():
                self._latest = int(self._stops.recv_bytes(20))
        except (EOFError, OSError):
            return True  # the service is gone
        return self._latest == number


def _attempt(work: Callable[[], Message]) -> Message:
    """The answer, or what went wrong in a form that says nothing of what people said or wrote."""
    try:
        return work()
    except Exception as error:
        # code, not values: messages of exceptions may quote what was being worked on
        trace = type(error).__name__ + "\n" + "".join(traceback.format_tb(error.__traceback__))
        return _failure(code_of(error), message_of(error), trace)


def _failure(code: str, message: str, trace: str) -> Message:
    return Message({"error": {"code": code, "message": message, "trace": trace}})


def _end_with_parent() -> None:
    """Wait until the service dies, in whatever way, then die too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
