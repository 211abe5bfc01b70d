"""Worker processes of one kind: kept alive, handed out, stopped, killed and replaced."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from cse.service.errors import Failures, ServiceError
from cse.service.messages import Message
from cse.service.metrics import Metrics
from cse.service.process import WorkerGoneError, WorkerProcess
from cse.service.worker import Role

log = logging.getLogger("cse.service")

_LONGEST_PAUSE_S = 30.0
# by which a process ends itself, or is ended for what it does; SIGKILL comes from elsewhere
_CRASHES = frozenset(
    -number
    for number in (
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGSYS,
    )
)


class WorkerPool:
    """Some processes with the same role, each on one task at a time.

    Args:
        name: Of the role, for logs and metrics.
        role: What they do.
        size: How many.
        threads: Of arithmetic, for each.
        stop_grace_s: How long one that was told to stop may take.
        failures: What is said of a task with which a worker does not come to an end.
        metrics: Counts them.

    Attributes:
        description: What a worker said that it had loaded; None before.
        failure: Why the first one could not load; such a pool will not work.
    """

    def __init__(
        self,
        *,
        name: str,
        role: Role,
        size: int,
        threads: int,
        stop_grace_s: float,
        failures: Failures,
        metrics: Metrics,
    ) -> None:
        self.description: dict[str, Any] | None = None
        self.failure: ServiceError | None = None
        self._name = name
        self._role = role
        self._size = size
        self._arithmetic_threads = threads
        self._stop_grace_s = stop_grace_s
        self._failures = failures
        self._metrics = metrics
        self._idle: asyncio.Queue[WorkerProcess] = asyncio.Queue()
        self._loaded: set[WorkerProcess] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        # one that is being replaced may still have its thread
        self._threads = ThreadPoolExecutor(2 * size, thread_name_prefix=name)

    @property
    def ready(self) -> bool:
        """Whether at least one worker has loaded."""
        return bool(self._loaded)

    @property
    def pids(self) -> list[int]:
        """Of the workers that have loaded."""
        return [worker.pid for worker in self._loaded]

    def start(self) -> None:
        """Start the processes; they load while the service is already there."""
        self._keepers = [asyncio.create_task(self._keep()) for _ in range(self._size)]

    async def close(self) -> None:
        """End the processes, whatever they are doing."""
        for task in (*self._keepers, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._keepers, *self._tasks, return_exceptions=True)
        self._threads.shutdown()

    async def run(self, message: Message, *, deadline: float, failures: Failures | None = None) -> Message:
        """Let a worker answer a message.

        When the caller is cancelled or the time is over, the worker is told to stop, and killed if it does not.

        Args:
            message: For `Role.work`.
            deadline: In seconds, of the event loop's clock.
            failures: Of this task, where they are others than those of the pool.

        Raises:
            ServiceError: The worker's own one; `time_limit`; `worker_died`, or what a crash stands for.
        """
        failures = failures or self._failures
        try:
            async with asyncio.timeout_at(deadline):
                worker = await self._take()
        except TimeoutError:
            raise ServiceError("time_limit", failures.too_slow) from None
        number = worker.next_number()
        loop = asyncio.get_running_loop()
        try:
            answer = loop.run_in_executor(self._threads, worker.ask, message, number)
        except RuntimeError:  # no thread to be had; one that comes later would still send the task
            worker.kill()
            raise _died(None, failures) from None
        self._metrics.busy.labels(self._name).inc()
        try:
            await asyncio.wait({answer}, timeout=max(0.0, deadline - loop.time()))
            if not answer.done():
                raise ServiceError("time_limit", failures.too_slow)
            return self._checked(answer.result())
        except WorkerGoneError:
            await worker.gone.wait()
            raise _died(worker.exit_code, failures) from None
        finally:
            self._metrics.busy.labels(self._name).dec()
            self._do(self._give_back(worker, number, answer))
            del answer  # it holds an error, which holds this frame, which holds what was sent

    async def _take(self) -> WorkerProcess:
        while True:
            worker = await self._idle.get()
            if not worker.gone.is_set():
                return worker

    async def _give_back(self, worker: WorkerProcess, number: int, answer: asyncio.Future[Message]) -> None:
        """Make sure that a worker is free again, or gone."""
        if not answer.done():
            worker.stop(number)
            await asyncio.wait({answer}, timeout=self._stop_grace_s)
            if not answer.done():
                log.warning("%s worker %d did not stop, killed", self._name, worker.pid)
                worker.kill()
                await asyncio.wait({answer})
        if answer.exception() is None:
            self._idle.put_nowait(worker)
        else:
            worker.kill()  # gone already, or it does not speak our language any more

    def _checked(self, answer: Message) -> Message:
        error = answer.header.get("error")
        if error is None:
            return answer
        if error["code"] == "internal":
            log.error("%s worker: %s", self._name, error["trace"])
        return _raise(error)

    async def _keep(self) -> None:
        """Have one process, and another one when it ends."""
        pause_s = 0.0
        while True:
            try:
                if await self._live():
                    pause_s = 0.0
            except (OSError, RuntimeError) as error:  # no process, pipe or thread to be had, for now
                log.error("%s worker could not be started (%s), trying again", self._name, error)
            if self.failure is not None:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s or 0.25)

    async def _live(self) -> bool:
        """Have a process from its start to its end; whether it ever was ready."""
        worker = WorkerProcess(self._role, threads=self._arithmetic_threads)
        ready = False
        try:
            if ready := await self._load(worker):
                self._loaded.add(worker)
                self._idle.put_nowait(worker)
            await worker.gone.wait()
        finally:
            self._loaded.discard(worker)
            worker.kill()
            await asyncio.shield(worker.gone.wait())
            worker.close()
        if self.failure is None:
            self._metrics.restarts.labels(self._name).inc()
            log.warning("%s worker %d ended (exit code %s)", self._name, worker.pid, worker.exit_code)
        return ready

    async def _load(self, worker: WorkerProcess) -> bool:
        """Wait until a worker is ready; remember why it is not, if none ever was."""
        hello = asyncio.get_running_loop().run_in_executor(self._threads, worker.hello)
        with suppress(WorkerGoneError):
            answer = await hello
            if "ready" in answer.header:
                self.description = answer.header["ready"]
                return True
            if self.description is None:
                error = answer.header["error"]
                log.error(
                    "%s worker: %s",
                    self._name,
                    error["trace"] if error["code"] == "internal" else error["message"],
                )
                self.failure = ServiceError("internal", f"{self._name} worker: {error['message']}")
        return False

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _raise(error: dict[str, Any]) -> Message:
    raise ServiceError(error["code"], error["message"])


def _died(exit_code: int | None, failures: Failures) -> ServiceError:
    if exit_code == -signal.SIGXCPU:  # it had its processor time
        return ServiceError("time_limit", failures.too_slow)
    if exit_code in _CRASHES:
        return ServiceError(*failures.crash)
    return ServiceError("worker_died", "the process that worked on this ended before it was done; try again")
