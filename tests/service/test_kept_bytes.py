"""What finished work keeps in memory: its result, and nothing of what was sent."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='needs: pip install "cse[service]"')

from cse.errors import HistoryError
from cse.service.admission import Admission, Budget
from cse.service.app import _while_connected
from cse.service.errors import ServiceError
from cse.service.guard import Guard
from cse.service.jobs import Jobs
from cse.service.messages import Message
from cse.service.metrics import Metrics
from cse.service.outcome import Outcome
from cse.service.request import ExtractionRequest
from cse.service.settings import Settings


def request() -> ExtractionRequest:
    return ExtractionRequest(
        file=bytes(1000), file_name=None, history=b"Ana: Hi", history_format="auto", at=None, chat=None,
        enrollment=None, target=None, response_format="json", audio_format="ogg", candidate_audio=False,
        on_absent="error",
    )  # fmt: skip


async def succeed(wanted: ExtractionRequest) -> Outcome:
    await asyncio.sleep(0)
    return Outcome(wanted.voice_format, Message({}, (b"voice",)))


async def fail(wanted: ExtractionRequest) -> Outcome:
    await asyncio.sleep(0)
    raise HistoryError("line 1: broken")


async def refuse(wanted: ExtractionRequest) -> Outcome:
    await asyncio.sleep(0)
    raise ServiceError("busy", "try again")


@pytest.mark.parametrize("work", [succeed, fail, refuse])
def test_a_finished_job_keeps_nothing_of_its_request(no_collector, work):
    async def finish() -> None:
        metrics = Metrics()
        jobs = Jobs(
            settings=Settings(),
            replica="r",
            work=lambda wanted, _: work(wanted),
            admission=Admission(running=1, max_waiting=1, metrics=metrics),
            budget=Budget(10_000, metrics=metrics),
            metrics=metrics,
        )
        sent = request()
        kept = weakref.ref(sent)
        job, _ = jobs.submit(sent, owner="me", key="k")
        del sent
        while not job.finished:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert job.status == ("succeeded" if work is succeed else "failed")
        assert kept() is None
        gone = weakref.ref(job)
        jobs.delete(job.id, owner="me")
        del job
        assert gone() is None
        await jobs.close()

    asyncio.run(finish())


class Connected:
    """A request whose client stays."""

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}


def test_a_request_that_failed_leaves_nothing_behind(no_collector):
    kept: list[weakref.ref[ExtractionRequest]] = []
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        wanted = request()
        kept.append(weakref.ref(wanted))
        await _while_connected(Connected(), fail(wanted))  # type: ignore[arg-type]

    async def send(message: Any) -> None:
        sent.append(message)

    async def answer() -> None:
        scope = {"type": "http", "method": "POST", "headers": []}
        await Guard(app, metrics=Metrics(), replica="r")(scope, Connected().receive, send)
        await asyncio.sleep(0.01)

    asyncio.run(answer())
    assert sent[0]["status"] == 422
    assert kept[0]() is None
