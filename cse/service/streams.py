"""Streams as the service sees them: so many at once, all in one process of their own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from types import TracebackType
from typing import Any, Self

from cse.service.admission import Admission
from cse.service.errors import Failures, ServiceError
from cse.service.extracting import Loader
from cse.service.messages import Message
from cse.service.metrics import Metrics
from cse.service.pool import WorkerPool
from cse.service.reading_tasks import OF_A_CONVERSATION
from cse.service.settings import Settings
from cse.service.stream_frames import StreamRequest
from cse.service.stream_worker import Streaming


class Streams:
    """The places for streams, and the worker behind them; without places there is no worker.

    Args:
        settings: How many, and for how long.
        loader: Makes the extractor, in the worker.
        threads: Of its arithmetic.
        readers: Read the conversations: the worker of all streams must not wait for one of them.
        admission: Says when nobody may come in any more.
        metrics: Shows how many there are.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        loader: Loader,
        threads: int,
        readers: WorkerPool,
        admission: Admission,
        metrics: Metrics,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self._readers = readers
        self._admission = admission
        self._numbers = count()
        self._open = 0
        self._closing: set[asyncio.Task[None]] = set()
        self.worker = WorkerPool(
            name="streaming",
            role=Streaming(loader=loader, threads=threads),
            size=1,
            threads=threads,
            stop_grace_s=settings.stop_grace_s,
            failures=Failures(
                too_slow="the work on the stream took longer than is allowed; begin another stream",
                crash=("worker_died", "the process that worked on the stream crashed; begin another stream"),
            ),
            metrics=metrics,
        )

    @property
    def enabled(self) -> bool:
        """Whether there are any places."""
        return self.settings.max_streams > 0

    @property
    def ready(self) -> bool:
        """Whether a stream would find the worker, if there is to be one."""
        return self.worker.ready or not self.enabled

    @property
    def idle(self) -> bool:
        """Whether there is no stream."""
        return self._open == 0

    def start(self) -> None:
        """Start the worker."""
        if self.enabled:
            self.worker.start()

    async def close(self) -> None:
        """End the worker, whatever it is doing."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self.worker.close()

    def enter(self) -> Stream:
        """Take a place.

        Raises:
            ServiceError: `not_found`, `shutting_down` or `busy`.
        """
        if not self.enabled:
            raise ServiceError(
                "not_found", "streams are switched off here; serve with --max-streams 1 or more"
            )
        if self._admission.closed:
            raise ServiceError("shutting_down", "the service is being shut down; try again", retry_after_s=5)
        if self._open >= self.settings.max_streams:
            raise ServiceError("busy", "too many streams at once; try again later", retry_after_s=10)
        if not self.worker.ready:
            raise ServiceError("busy", "the model is still being loaded; try again", retry_after_s=5)
        self._count(1)
        return Stream(self, next(self._numbers))

    def leave(self, number: int) -> None:
        """Forget a stream, then give its place back; without waiting for it, since the caller may be cancelled."""
        task = asyncio.create_task(self._forget(number))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def read(self, conversation: Message) -> Message:
        """Let a reader read a conversation.

        Raises:
            ServiceError: What it says, e.g. `invalid_history`.
        """
        return await self._readers.run(conversation, deadline=self._deadline(), failures=OF_A_CONVERSATION)

    async def ask(self, number: int, do: str, message: Message) -> Message:
        """Let the worker do something to a stream.

        Raises:
            ServiceError: What it says.
        """
        header = {**message.header, "stream": number, "do": do}
        return await self.worker.run(replace(message, header=header), deadline=self._deadline())

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self.settings.time_limit_s

    async def _forget(self, number: int) -> None:
        try:
            await self.ask(number, "close", Message({}))
        except ServiceError:
            pass  # the worker has gone, and the stream with it
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._open += change
        self.metrics.streams.set(self._open)


class Stream:
    """One place; `with` gives it back.

    Args:
        streams: All of them.
        number: Of this one.
    """

    def __init__(self, streams: Streams, number: int) -> None:
        self._streams = streams
        self._number = number
        self.choice: dict[str, Any] | None = None

    async def open(self, request: StreamRequest) -> dict[str, Any]:
        """Begin, and say what was made of the request.

        Raises:
            ServiceError: What a reader or the worker says, e.g. `invalid_history`.
        """
        read = await self._streams.read(request.conversation())
        return (await self._streams.ask(self._number, "open", request.opening(read))).header

    async def push(self, samples: bytes | memoryview) -> bytes:
        """Pass samples on, and return those that are ready; `choice` is set when it is made."""
        return await self._voice("push", Message({}, (samples,)))

    async def end(self) -> bytes:
        """Return the rest."""
        return await self._voice("end", Message({}))

    async def _voice(self, do: str, message: Message) -> bytes:
        answer = await self._streams.ask(self._number, do, message)
        self.choice = answer.header["choice"]
        return bytes(answer.blobs[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._streams.leave(self._number)
