"""Pools of workers without any process: what happens when the system gives none, and what an end stands for."""

from __future__ import annotations

import asyncio
import signal
import weakref
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason='needs: pip install "cse[service]"')

from cse.service import pool as pools
from cse.service.errors import Failures, ServiceError
from cse.service.messages import Message
from cse.service.metrics import Metrics
from cse.service.process import WorkerGoneError
from cse.service.reading_tasks import OF_A_CONVERSATION

FAILURES = Failures(too_slow="too slow", crash=("invalid_audio", "crashed"))


class Worker:
    """In place of a process: answers with the question, or ends."""

    pid = 1
    started = 0
    refused = 0
    ends_by: int | None = None

    def __init__(self, role: Any, *, threads: int) -> None:
        Worker.started += 1
        if Worker.refused:
            Worker.refused -= 1
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self.gone = asyncio.Event()
        self.exit_code: int | None = None
        self._loop = asyncio.get_running_loop()

    def hello(self) -> Message:
        return Message({"ready": {}})

    def next_number(self) -> int:
        return 1

    def ask(self, message: Message, number: int) -> Message:
        if Worker.ends_by is None:
            return message
        self._loop.call_soon_threadsafe(self._end, Worker.ends_by)
        raise WorkerGoneError

    def stop(self, number: int) -> None:
        pass

    def kill(self) -> None:
        self._end(-signal.SIGKILL)

    def close(self) -> None:
        pass

    def _end(self, code: int) -> None:
        if not self.gone.is_set():
            self.exit_code = code
            self.gone.set()


@pytest.fixture
def workers(monkeypatch):
    """Workers that are no processes, all of them well."""
    for name in ("started", "refused", "ends_by"):
        monkeypatch.setattr(Worker, name, vars(Worker)[name])
    monkeypatch.setattr(pools, "WorkerProcess", Worker)
    return Worker


def in_a_pool(work):
    """Do something with a pool of one worker."""

    async def do() -> Any:
        pool = pools.WorkerPool(
            name="reading", role=None, size=1, threads=1, stop_grace_s=0.0, failures=FAILURES, metrics=Metrics()
        )  # fmt: skip
        pool.start()
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(do())


def ask(pool, message=None, failures=None):
    deadline = asyncio.get_running_loop().time() + 5
    return pool.run(message or Message({"do": "x"}), deadline=deadline, failures=failures)


def test_a_process_that_the_system_refuses_is_tried_again(workers):
    workers.refused = 3
    assert in_a_pool(ask).header == {"do": "x"}
    assert workers.started == 4


def test_a_process_that_cannot_be_replaced_at_once_is_replaced_later(workers):
    async def die_and_ask(pool):
        assert (await ask(pool)).header == {"do": "x"}
        workers.ends_by, workers.refused = -signal.SIGKILL, 2
        with pytest.raises(ServiceError):
            await ask(pool)
        workers.ends_by = None
        return await ask(pool)

    assert in_a_pool(die_and_ask).header == {"do": "x"}


def test_a_thread_that_the_system_refuses_costs_one_request_only(workers, monkeypatch):
    async def starve_and_ask(pool):
        await ask(pool)
        with monkeypatch.context() as patch:
            patch.setattr(pool._threads, "submit", refuse)
            with pytest.raises(ServiceError) as caught:
                await ask(pool)
            assert caught.value.code == "worker_died"
        return await ask(pool)

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    assert in_a_pool(starve_and_ask).header == {"do": "x"}


@pytest.mark.parametrize(
    ("number", "failures", "code"),
    [
        (signal.SIGSEGV, None, "invalid_audio"),
        (signal.SIGSEGV, OF_A_CONVERSATION, "invalid_history"),
        (signal.SIGXCPU, OF_A_CONVERSATION, "time_limit"),
        (signal.SIGKILL, OF_A_CONVERSATION, "worker_died"),
    ],
)
def test_the_end_of_a_process_stands_for_something(workers, number, failures, code):
    workers.ends_by = -number
    with pytest.raises(ServiceError) as caught:
        in_a_pool(lambda pool: ask(pool, failures=failures))
    assert caught.value.code == code
    if code == "time_limit":
        assert str(caught.value).startswith("history: ")


def test_what_was_sent_is_let_go_when_its_worker_dies(workers, no_collector):
    workers.ends_by = -signal.SIGKILL

    async def lose(pool):
        message = Message({"do": "x"})
        kept = weakref.ref(message)
        with pytest.raises(ServiceError) as caught:
            await ask(pool, message)
        del message, caught
        await asyncio.sleep(0.1)
        return kept() is None

    assert in_a_pool(lose)
