"""Jobs: extractions whose result is fetched later; kept in memory, for a while, for whoever asked for them."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from cse.service.admission import Admission, Budget, Ticket
from cse.service.errors import ServiceError, code_of, message_of
from cse.service.metrics import Metrics
from cse.service.outcome import Outcome
from cse.service.request import ExtractionRequest
from cse.service.settings import Settings

log = logging.getLogger("cse.service")
Work = Callable[[ExtractionRequest, Ticket], Awaitable[Outcome]]
JobStatus = Literal["queued", "running", "succeeded", "failed"]
_SWEEP_S = 1.0
_TIME_TO_FETCH_S = 30.0  # that a service which is being shut down gives
_MAX_KEY_CHARACTERS = 255


@dataclass(kw_only=True, eq=False)
class Job:
    """One job.

    Attributes:
        id: By which it is asked for; begins with the name of the replica that has it.
        owner: Who may ask for it.
        fingerprint: Of its request.
        key: The client's own name for it.
        ticket: Its place in the queue.
        created: When, in seconds since 1970.
        finished_at: When it was finished, in seconds since 1970; None before.
        expires: When a finished one is forgotten, in seconds since 1970; None before it is finished.
        outcome: Its result, if it succeeded.
        error: Why it failed.
        fetched: Whether its end has been told.
        held_bytes: Its share of the budget.
    """

    id: str
    owner: str
    fingerprint: bytes
    key: str | None
    ticket: Ticket
    created: float
    finished_at: float | None = None
    expires: float | None = None
    outcome: Outcome | None = None
    error: ServiceError | None = None
    fetched: bool = False
    held_bytes: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def finished(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.outcome is not None or self.error is not None

    @property
    def status(self) -> JobStatus:
        """How far it is."""
        if self.finished:
            return "failed" if self.outcome is None else "succeeded"
        return "running" if self.ticket.has_turn else "queued"


class Jobs:
    """All jobs of a replica.

    Args:
        settings: How many, and for how long.
        replica: Begins their ids, so that a load balancer can find them.
        work: Does what a request asks for, when it is its turn.
        admission: The queue in which they wait.
        budget: Of what they hold in memory.
        metrics: Counts them.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        replica: str,
        work: Work,
        admission: Admission,
        budget: Budget,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._replica = replica
        self._work = work
        self._admission = admission
        self._budget = budget
        self._metrics = metrics
        self._jobs: dict[str, Job] = {}
        self._by_key: dict[tuple[str, str], Job] = {}
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def settled(self) -> bool:
        """Whether all are finished, and all results were fetched or could have been for a while."""
        patience = time.time() - _TIME_TO_FETCH_S
        return all(
            job.finished_at is not None and (job.fetched or job.finished_at < patience)
            for job in self._jobs.values()
        )

    def start(self) -> None:
        """Begin to forget old jobs."""
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Stop and forget all of them."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for job in list(self._jobs.values()):
            self._forget(job)
        if self._sweeper is not None:
            self._sweeper.cancel()
            tasks.append(self._sweeper)
        await asyncio.gather(*tasks, return_exceptions=True)

    def submit(self, request: ExtractionRequest, *, owner: str, key: str | None) -> tuple[Job, bool]:
        """Queue a job, or find the one that the same client has submitted under the same key.

        Returns:
            The job, and whether it is new.

        Raises:
            ServiceError: `idempotency_key_reused`, `invalid_request`, `busy`, `shutting_down`.
        """
        fingerprint = request.fingerprint()
        if known := self._known(owner, key, fingerprint):
            return known, False
        if len(self._jobs) >= self._settings.max_jobs:
            raise self._admission.busy()
        job = Job(
            id=f"{self._replica}-{secrets.token_urlsafe(16)}",
            owner=owner,
            fingerprint=fingerprint,
            key=key,
            ticket=self._admission.enter(),
            created=time.time(),
        )
        self._hold(job, request.size_bytes)
        self._jobs[job.id] = job
        if key is not None:
            self._by_key[owner, key] = job
        self._metrics.jobs.set(len(self._jobs))
        job.task = asyncio.create_task(self._run(job, request))
        job.task.add_done_callback(
            lambda _: job.ticket.leave()
        )  # also of one that was cancelled before it began
        return job, True

    def _known(self, owner: str, key: str | None, fingerprint: bytes) -> Job | None:
        """The job that this client has already submitted under this key."""
        if key is None:
            return None
        if not 0 < len(key) <= _MAX_KEY_CHARACTERS:
            raise ServiceError(
                "invalid_request",
                f"Idempotency-Key: got {len(key)} characters, expected 1 to {_MAX_KEY_CHARACTERS}",
            )
        known = self._by_key.get((owner, key))
        if known is not None and known.fingerprint != fingerprint:
            raise ServiceError(
                "idempotency_key_reused",
                "Idempotency-Key: got the key of another request, expected a new one",
            )
        return known

    def find(self, job_id: str, *, owner: str) -> Job:
        """The job of this name.

        Raises:
            ServiceError: `not_found`: it never was, is forgotten, or belongs to someone else.
        """
        job = self._jobs.get(job_id)
        if job is None or job.owner != owner:
            raise ServiceError("not_found", "got the id of no job; results are kept for a limited time")
        return job

    def delete(self, job_id: str, *, owner: str) -> None:
        """Stop a job and forget it.

        Raises:
            ServiceError: `not_found`.
        """
        self._forget(self.find(job_id, owner=owner))

    async def _run(self, job: Job, request: ExtractionRequest) -> None:
        try:
            job.outcome = await self._work(request, job.ticket)
            self._hold(job, job.outcome.size_bytes)
        except Exception as error:
            code = code_of(error)
            if not isinstance(error, ServiceError):
                log.error(
                    "job: %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
                )
            # a new one: the trace of the old one holds what was sent, and the samples
            job.error = ServiceError(code, message_of(error))
            self._hold(job, 0)
            self._metrics.errors.labels(code).inc()
        job.finished_at = time.time()
        job.expires = job.finished_at + self._settings.job_ttl_s
        log.info("job %s %s", job.status, "-" if job.error is None else job.error.code)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = time.time()
            for job in list(self._jobs.values()):
                if job.expires is not None and job.expires <= now:
                    self._forget(job)

    def _forget(self, job: Job) -> None:
        if job.task is not None:
            job.task.cancel()
        self._hold(job, 0)
        self._jobs.pop(job.id, None)
        if job.key is not None:
            self._by_key.pop((job.owner, job.key), None)
        self._metrics.jobs.set(len(self._jobs))

    def _hold(self, job: Job, count: int) -> None:
        """Change how much of the budget a job has."""
        self._budget.take(count - job.held_bytes, force=True)
        job.held_bytes = count
