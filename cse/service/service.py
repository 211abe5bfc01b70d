"""The work behind the routes: waiting for a turn, reading, extracting, within a time that is really kept."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import Any

from cse.service.admission import Admission, Budget, Ticket
from cse.service.errors import Failures, ServiceError
from cse.service.extracting import Extracting, Loader
from cse.service.jobs import Jobs
from cse.service.metrics import Metrics
from cse.service.outcome import Outcome
from cse.service.pool import WorkerPool
from cse.service.preview import PreviewRequest
from cse.service.reading import Reading
from cse.service.reading_tasks import OF_A_CONVERSATION, OF_AUDIO
from cse.service.request import ExtractionRequest
from cse.service.settings import MB, Settings
from cse.service.streams import Streams


class Service:
    """One replica: two pools of workers, a queue in front of them, and the jobs.

    Args:
        settings: Its limits.
        loader: Makes the extractor, in every worker.
    """

    def __init__(self, settings: Settings, loader: Loader) -> None:
        self.settings = settings
        self.replica = secrets.token_hex(4)
        self.metrics = Metrics()
        self.admission = Admission(
            running=settings.workers, max_waiting=settings.max_waiting, metrics=self.metrics
        )
        self.budget = Budget(round(settings.memory_mb * MB), metrics=self.metrics)
        self.readers = WorkerPool(
            name="reading",
            role=Reading.of(settings),
            size=settings.workers,
            threads=1,
            stop_grace_s=0.0,  # decoders do not ask whether to stop, and start again in a moment
            failures=OF_AUDIO,
            metrics=self.metrics,
        )
        threads = settings.threads or max(1, (os.cpu_count() or 1) // settings.workers)
        self.extractors = WorkerPool(
            name="extracting",
            role=Extracting(loader=loader, threads=threads),
            size=settings.workers,
            threads=threads,
            stop_grace_s=settings.stop_grace_s,
            failures=Failures(
                too_slow=OF_AUDIO.too_slow,
                crash=("worker_died", "the process that worked on this crashed; try again"),
            ),
            metrics=self.metrics,
        )
        self.streams = Streams(
            settings=settings,
            loader=loader,
            threads=threads,
            readers=self.readers,
            admission=self.admission,
            metrics=self.metrics,
        )
        self.jobs = Jobs(
            settings=settings,
            replica=self.replica,
            work=lambda request, ticket: self.extract(request, ticket, wait_limit_s=None),
            admission=self.admission,
            budget=self.budget,
            metrics=self.metrics,
        )

    @property
    def ready(self) -> bool:
        """Whether a request would find a worker."""
        workers = self.readers.ready and self.extractors.ready and self.streams.ready
        return workers and not self.admission.closed

    @property
    def failure(self) -> ServiceError | None:
        """Why the service will never work."""
        return self.readers.failure or self.extractors.failure or self.streams.worker.failure

    @property
    def drained(self) -> bool:
        """Whether nothing is worked on, and no result is waiting to be fetched."""
        return self.admission.idle and self.streams.idle and self.jobs.settled

    def start(self) -> None:
        """Start the workers, which load while the service is already there."""
        self.readers.start()
        self.extractors.start()
        self.streams.start()
        self.jobs.start()

    async def close(self) -> None:
        """End everything, whatever it is doing."""
        self.admission.close()
        await self.jobs.close()
        await asyncio.gather(self.readers.close(), self.extractors.close(), self.streams.close())

    async def extract(
        self, request: ExtractionRequest, ticket: Ticket, *, wait_limit_s: float | None
    ) -> Outcome:
        """Do what a request asks for, as soon as it is its turn.

        Args:
            request: What to do.
            ticket: A place in the queue, which is given back.
            wait_limit_s: How long to wait for the turn; None is for ever.

        Raises:
            ServiceError: What the worker says; `busy`, `time_limit`, `worker_died`.
        """
        with ticket:
            await ticket.turn(wait_limit_s)
            loop = asyncio.get_running_loop()
            started = loop.time()
            deadline = started + self.settings.time_limit_s
            conversation = None
            if (task := request.conversation()) is not None:
                conversation = await self.readers.run(task, deadline=deadline, failures=OF_A_CONVERSATION)
            audio = await self.readers.run(request.audio(), deadline=deadline)
            answer = await self.extractors.run(request.extracting(conversation, audio), deadline=deadline)
            self.admission.took(loop.time() - started)
        self.metrics.work_seconds.observe(loop.time() - started)
        self.metrics.audio_seconds.inc(answer.header["duration_s"])
        self.metrics.abstained.inc(bool(answer.header["abstained"]))
        return Outcome(request.voice_format, answer)

    async def preview(self, request: PreviewRequest) -> dict[str, Any]:
        """Tell how a conversation is understood: as in `Inspection.to_dict`.

        It takes a place but waits for no turn, because extractions leave the readers idle for most of their time.

        Raises:
            ServiceError: What the reader says; `busy`, `time_limit`, `worker_died`.
        """
        with self.admission.enter():
            deadline = asyncio.get_running_loop().time() + self.settings.time_limit_s
            task = request.reading()
            found = await self.readers.run(task, deadline=deadline, failures=OF_A_CONVERSATION)
            return found.header
