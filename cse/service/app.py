"""The routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from cse.ondevice.browser import FILES, MANIFEST
from cse.service import schema, stream_frames
from cse.service.auth import Doorkeeper
from cse.service.browser_files import add_browser_files
from cse.service.errors import STATUS, ServiceError
from cse.service.extracting import Loader
from cse.service.guard import Guard
from cse.service.jobs import Job
from cse.service.limits import BodyLimits
from cse.service.metrics import CONTENT_TYPE
from cse.service.outcome import MEDIA_TYPES, Outcome
from cse.service.page_files import add_page
from cse.service.preview import read_preview
from cse.service.request import read_request
from cse.service.service import Service
from cse.service.settings import MB, Settings
from cse.service.stream_route import add_stream

Result = TypeVar("Result")
_WORK_ERRORS = (
    "invalid_request", "upload_timeout", "body_too_large", "audio_too_long", "invalid_audio", "invalid_history",
    "missing_cue", "target_absent", "internal", "worker_died", "unsupported_format", "busy", "shutting_down",
)  # fmt: skip
_READ_ERRORS = (
    "invalid_request", "upload_timeout", "body_too_large", "invalid_history", "internal", "worker_died", "busy",
    "shutting_down", "time_limit",
)  # fmt: skip
_ACCESS_ERRORS = ("unauthorized", "forbidden")
_AUDIO: dict[str, Any] = {"audio/ogg": {}, "audio/wav": {}}


def create_app(settings: Settings, loader: Loader) -> FastAPI:
    """Make the application of one replica; its workers run between its startup and its shutdown.

    Args:
        settings: Its limits.
        loader: Makes the extractor, in every worker; can be pickled.
    """
    service = Service(settings, loader)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await service.close()

    # the pages that FastAPI makes of its schema come with scripts from elsewhere
    app = FastAPI(
        title="cse", version=_version(), summary="The voice that continues a conversation", lifespan=lifespan,
        description=stream_frames.DESCRIPTION,
        docs_url=None, redoc_url=None, redirect_slashes=False, separate_input_output_schemas=False,
    )  # fmt: skip
    app.state.service = service
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    # the last one added comes first
    app.add_middleware(Guard, metrics=service.metrics, replica=service.replica)
    app.add_middleware(
        BodyLimits,
        max_bytes=round(settings.max_body_mb * MB),
        upload_limit_s=settings.upload_limit_s,
        budget=service.budget,
    )
    doorkeeper = Doorkeeper(api_keys=settings.api_keys, allowed_hosts=settings.allowed_hosts)
    owner = _owner(doorkeeper)
    _add_extraction(app, service, owner)
    _add_preview(app, service, owner)
    _add_jobs(app, service, owner)
    _add_operations(app, service, owner)
    add_stream(app, service.streams, doorkeeper)
    add_browser_files(app)
    add_page(app, webassembly=_on_device() is not None)
    return app


def _add_extraction(app: FastAPI, service: Service, owner: Any) -> None:
    @app.post(
        "/v1/audio/extractions",
        summary="Extract the voice that continues a conversation",
        response_model=schema.ExtractionResult,
        responses={
            200: {"content": _AUDIO, "description": "The voice, in the format that was asked for"},
            **schema.errors(*_WORK_ERRORS, "time_limit", *_ACCESS_ERRORS),
        },
        openapi_extra=schema.EXTRACTION_BODY,
    )
    async def extract(request: Request, _: str = owner) -> Response:
        wanted = await read_request(request)
        with service.admission.enter() as ticket:
            work = service.extract(wanted, ticket, wait_limit_s=service.settings.wait_limit_s)
            outcome = await _while_connected(request, work)
        if wanted.response_format == "json":
            return await _json(outcome.json)
        return _audio(outcome)


def _add_preview(app: FastAPI, service: Service, owner: Any) -> None:
    @app.post(
        "/v1/messages/preview",
        summary="How a conversation is understood, and what is left out of it",
        response_model=schema.PreviewResult,
        responses=schema.errors(*_READ_ERRORS, *_ACCESS_ERRORS),
        openapi_extra=schema.PREVIEW_BODY,
    )
    async def preview(request: Request, _: str = owner) -> Response:
        wanted = await read_preview(request)
        found = await _while_connected(request, service.preview(wanted))
        # as ASCII: names in exports may be halves of characters
        return await _json(lambda: json.dumps(found).encode())


def _add_jobs(app: FastAPI, service: Service, owner: Any) -> None:
    @app.post(
        "/v1/jobs",
        status_code=202,
        summary="Extract, and fetch the result later",
        response_model=schema.JobBody,
        responses=schema.errors(*_WORK_ERRORS, "idempotency_key_reused", *_ACCESS_ERRORS),
        openapi_extra=schema.EXTRACTION_BODY,
    )
    async def submit(
        request: Request,
        response: Response,
        name: str = owner,
        idempotency_key: Annotated[
            str | None, Header(description="The same key with the same request gives the same job")
        ] = None,
    ) -> dict[str, Any]:
        job, new = service.jobs.submit(await read_request(request), owner=name, key=idempotency_key)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        if not new:
            response.headers["Idempotent-Replayed"] = "true"
        return _job(job)

    @app.get(
        "/v1/jobs/{job_id}",
        summary="How far a job is, and its result",
        response_model=schema.JobBody,
        responses=schema.errors("not_found", *_ACCESS_ERRORS),
    )
    async def look(job_id: str, request: Request, name: str = owner) -> dict[str, Any]:
        job = service.jobs.find(job_id, owner=name)
        body = _job(job)
        if job.error is not None:
            body["error"] = {
                "code": job.error.code, "message": str(job.error), "request_id": request.state.request_id
            }  # fmt: skip
        elif job.outcome is not None:
            body["result"] = await asyncio.to_thread(job.outcome.result)
        job.fetched = job.finished
        return body

    @app.get(
        "/v1/jobs/{job_id}/audio",
        summary="The voice of a finished job, in its audio format",
        response_class=Response,
        responses={200: {"content": _AUDIO}, **schema.errors("not_found", "not_finished", *_ACCESS_ERRORS)},
    )
    async def listen(job_id: str, name: str = owner) -> Response:
        job = service.jobs.find(job_id, owner=name)
        if job.error is not None:
            raise ServiceError(job.error.code, str(job.error))  # a new one, whose trace is of this request
        if job.outcome is None:
            raise ServiceError("not_finished", "got a job that has no result yet; ask for it later")
        job.fetched = True
        return _audio(job.outcome)

    @app.delete(
        "/v1/jobs/{job_id}",
        status_code=204,
        summary="Stop a job and forget it",
        responses=schema.errors("not_found", *_ACCESS_ERRORS),
    )
    async def delete(job_id: str, name: str = owner) -> None:
        service.jobs.delete(job_id, owner=name)


def _add_operations(app: FastAPI, service: Service, owner: Any) -> None:
    @app.get(
        "/v1/models",
        summary="The model",
        response_model=schema.ModelsBody,
        response_model_exclude_none=True,
        responses=schema.errors("busy"),
    )
    async def models(_: str = owner) -> dict[str, Any]:
        loaded = service.extractors.description
        if loaded is None:
            raise ServiceError("busy", "the model is still being loaded; try again", retry_after_s=5)
        model = {"id": loaded["name"], "talkers": loaded["talkers"], "sample_rate": loaded["sample_rate"]}
        return {"data": [{**model, "on_device": _on_device()}]}

    @app.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", summary="Whether to send it requests", responses={503: {"description": "Not now"}})
    async def readyz(response: Response) -> dict[str, str]:
        response.status_code = 200 if service.ready else 503
        if service.admission.closed:
            return {"status": "shutting down"}
        return {"status": "ready" if service.ready else "loading"}

    @app.get("/metrics", summary="For Prometheus", response_class=Response)
    async def metrics(_: str = owner) -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def _on_device() -> str | None:
    """Where the model for browsers is described, if there is one; relative to the page."""
    return f"ondevice/{MANIFEST}" if (FILES / MANIFEST).is_file() else None


def _owner(doorkeeper: Doorkeeper) -> Any:
    """The dependency that lets a request in before anything of its body is read."""

    async def admit(request: Request, _: Annotated[Any, Depends(HTTPBearer(auto_error=False))]) -> str:
        return doorkeeper.admit(request)

    return Depends(admit)


async def _while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """The result of some work, which is stopped when the client goes away."""
    working = asyncio.ensure_future(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ServiceError("client_gone", "the client went away while it was waiting")
        return working.result()
    finally:
        working.cancel()
        gone.cancel()
        del working  # it holds an error, which holds this frame, which holds what was sent


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _json(make: Callable[[], bytes]) -> Response:
    return Response(await asyncio.to_thread(make), media_type="application/json")


def _audio(outcome: Outcome) -> Response:
    return Response(outcome.audio, media_type=MEDIA_TYPES[outcome.audio_format], headers=outcome.headers())


def _job(job: Job) -> dict[str, Any]:
    return {"id": job.id, "status": job.status, "created": job.created, "expires": job.expires}


async def _refuse(_: Request, error: Exception) -> Response:
    """What FastAPI refuses by itself, without the values that it would quote."""
    if isinstance(error, HTTPException):
        codes = {status: code for code, status in STATUS.items() if status in (404, 405)}
        raise ServiceError(
            codes.get(error.status_code, "invalid_request"),
            f"got a request that has no answer: {error.detail}",
        )
    raise ServiceError("invalid_request", "got a header or parameter of another form")


def _version() -> str:
    from cse import __version__

    return __version__
