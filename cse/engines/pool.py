"""The engine for one machine: a pool of processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from cse.engines.engine import (
    TRIES,
    WAITING_PER_WORKER,
    Engine,
    Failure,
    Item,
    Result,
    attempt,
    died,
    result_of,
)
from cse.errors import ConfigError

_CLEAN_UP_S = 1.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Pool(Engine):
    """Works in several processes of this machine, each with one arithmetic thread.

    Processes are started afresh (spawn), so a script that uses this needs `if __name__ == "__main__":`.

    Args:
        workers: Processes; None is one for each core that this process may use.

    Raises:
        ConfigError: Fewer than one worker.

    >>> list(Pool(workers=1).map(len, ["a", "word"], name=str))
    [1, 4]
    """

    def __init__(self, workers: int | None = None) -> None:
        check_workers(workers)
        self.workers = usable_cores() if workers is None else workers

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, name: Callable[[Item], str]
    ) -> Iterator[Result]:
        """See `Engine.map`."""
        waiting: deque[tuple[Item, Future[Any]]] = deque()
        processes = _Processes(function, self.workers)
        try:
            for item in items:
                waiting.append((item, processes.submit(item)))
                if len(waiting) == WAITING_PER_WORKER * self.workers:
                    yield _next_result(waiting, processes, name)
            while waiting:
                yield _next_result(waiting, processes, name)
        except BaseException:  # Ctrl-C and a closed iterator too
            processes.abandon()
            raise
        processes.close()


def check_workers(workers: int | None) -> None:
    """Refuse a number of workers that cannot work.

    Raises:
        ConfigError: Fewer than one.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"workers: got {workers}, expected 1 or more; leave it out for one a core")


def usable_cores() -> int:
    """Cores that this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _next_result(
    waiting: deque[tuple[Item, Future[Any]]], processes: _Processes, name: Callable[[Item], str]
) -> Any:
    """The result of the first item that waits.

    When one process dies, all futures of the pool break, and nobody knows whose item it was. They are tried again in
    turn; a last try is alone in a new pool, so that no item pays for another.
    """
    item, future = waiting.popleft()
    for _ in range(TRIES - 1):
        try:
            return result_of(future.result(), name(item))
        except BrokenProcessPool:
            future = processes.submit(item)
    try:
        return result_of(future.result(), name(item))
    except BrokenProcessPool:
        raise died(name(item)) from None


class _Processes:
    """A pool of processes that is made anew when one of them dies, and can be left at any moment.

    Every worker watches a pipe whose other end this process holds: when that is closed, or this process dies
    in whatever way, the worker ends too.
    """

    def __init__(self, function: Callable[..., Any], workers: int) -> None:
        self._function = function
        self._workers = workers
        self._start()

    def submit(self, item: Any) -> Future[Any]:
        """Hand an item to the pool, to a new one if the old one is broken."""
        for _ in range(TRIES):
            try:
                with arithmetic_threads(1):  # read by the processes that the first item starts
                    return self._executor.submit(_work, item)
            except BrokenProcessPool:
                self.abandon()
                self._start()
        raise ConfigError(
            "the processes of the pool die as soon as they start, expected them to wait for work; a script that uses "
            'a pool needs `if __name__ == "__main__":` around it'
        )

    def close(self) -> None:
        """End the processes when they have nothing left to do."""
        self._executor.shutdown()
        self._lifeline.close()
        self._end.close()

    def abandon(self) -> None:
        """End the processes now, whatever they are doing."""
        self._lifeline.close()
        self._executor.shutdown(cancel_futures=True)
        self._end.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._end, self._lifeline = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            self._workers, mp_context=context, initializer=_start_worker, initargs=(self._function, self._end)
        )


@contextmanager
def arithmetic_threads(count: int) -> Iterator[None]:
    """Let processes that start now compute with so many threads each: more than cores would only wait for each other.

    Libraries read these variables when they are loaded, before any of our code runs in the new process.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# ---- in a worker


class _Worker:
    """What a worker process works with, and whether it does."""

    function: Callable[[Any], Any]
    busy = False


def _start_worker(function: Callable[[Any], Any], lifeline: Connection) -> None:
    _Worker.function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one sees to it
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _stop(*_: object) -> None:
    if not _Worker.busy:
        os._exit(1)
    raise SystemExit(1)  # so that the item cleans up after itself


def _end_with(lifeline: Connection) -> None:
    """Wait until the pipe closes, then end; by force where cleaning up takes too long."""
    with suppress(EOFError, OSError):
        lifeline.recv()
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(_CLEAN_UP_S)
    os._exit(1)


def _work(item: Any) -> Any | Failure:
    _Worker.busy = True
    try:
        return attempt(_Worker.function, item)
    except SystemExit:  # the executor would take it for the item's result, and go on
        os._exit(1)
    finally:
        _Worker.busy = False
