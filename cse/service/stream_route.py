"""The WebSocket: chunks of sound in, chunks of the voice out, one after the other, so that nothing piles up."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import traceback
from collections.abc import Awaitable

from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from cse.service.auth import Doorkeeper
from cse.service.errors import ServiceError, code_of, message_of
from cse.service.form import invalid
from cse.service.guard import error_body
from cse.service.stream_frames import check_end_frame, read_first_frame
from cse.service.streams import Stream, Streams

log = logging.getLogger("cse.service")

PATH = "/v1/audio/stream"
_DONE = 1000
_CLOSE_BASE = 4000  # codes of applications; the HTTP status of the error is added
_SAMPLE_BYTES = 2


def add_stream(app: FastAPI, streams: Streams, doorkeeper: Doorkeeper) -> None:
    """Add the route, and refuse all other WebSockets."""

    @app.websocket(PATH)
    async def stream(websocket: WebSocket) -> None:
        await Conversation(websocket, streams, doorkeeper).run()

    @app.websocket("/{path:path}")  # else mounted files would fall over it
    async def nowhere(websocket: WebSocket) -> None:
        await _refuse(websocket, ServiceError("not_found", f"got another path, expected {PATH}"), "")


class Conversation:
    """One WebSocket, from its handshake to its end.

    Args:
        websocket: Not accepted yet.
        streams: Where there may be a place for it.
        doorkeeper: Says whether it may come in.
    """

    def __init__(self, websocket: WebSocket, streams: Streams, doorkeeper: Doorkeeper) -> None:
        self._websocket = websocket
        self._streams = streams
        self._doorkeeper = doorkeeper
        self._limits = streams.settings
        self._id = secrets.token_hex(8)
        self._samples = 0
        self._rate = 1
        self._end = time.monotonic() + self._limits.max_stream_s + self._limits.stream_idle_s

    async def run(self) -> None:
        """Let in or refuse; then serve until the client ends it, goes away, or does what it may not."""
        started, accepted, code = time.perf_counter(), False, "-"
        try:
            self._doorkeeper.admit(self._websocket)
            with self._streams.enter() as stream:
                await self._websocket.accept(headers=[(b"x-request-id", self._id.encode())])
                accepted = True
                await self._serve(stream)
        except (WebSocketDisconnect, _UnreadError):
            code = "client_gone"
        except Exception as error:
            code = code_of(error)
            await self._fail(error, accepted)
        finally:
            seconds = time.perf_counter() - started
            if code != "-":
                self._streams.metrics.errors.labels(code).inc()
            self._streams.metrics.stream_seconds.inc(self._samples / self._rate)
            self._streams.metrics.requests.labels("WEBSOCKET", PATH, code).inc()
            log.info("%s WEBSOCKET %s %s %.3f s", self._id, PATH, code, seconds)

    async def _serve(self, stream: Stream) -> None:
        request = read_first_frame(await self._text())
        self._rate = request.sample_rate
        opened = await stream.open(request)
        await self._event("ready", **opened, sample_rate=request.sample_rate, format="pcm_s16le")
        while (chunk := await self._chunk()) is not None:
            # a second at a time: other streams have their turn in between
            at_once = self._rate * _SAMPLE_BYTES
            for start in range(0, len(chunk), at_once):
                await self._give(stream, stream.push(memoryview(chunk)[start : start + at_once]))
        await self._give(stream, stream.end())
        await self._event("end", duration_s=self._samples / self._rate, choice=stream.choice)
        await self._within_limit(self._websocket.close(_DONE))

    async def _give(self, stream: Stream, working: Awaitable[bytes]) -> None:
        """Pass on what is ready, and before it whose voice it is, if that is new."""
        before = stream.choice
        voice = await working
        if before is None and stream.choice is not None:
            await self._event("choice", **stream.choice)
        if voice:
            await self._within_limit(self._websocket.send_bytes(voice))

    async def _chunk(self) -> bytes | None:
        """The next samples; None if there are no more."""
        frame = await self._frame()
        if isinstance(frame, str):
            check_end_frame(frame)
            return None
        if len(frame) % _SAMPLE_BYTES:
            raise invalid("samples", f"{len(frame)} bytes", "whole samples of two bytes")
        self._samples += len(frame) // _SAMPLE_BYTES
        if self._samples > self._limits.max_stream_s * self._rate:
            raise ServiceError(
                "audio_too_long",
                f"got more than {self._limits.max_stream_s:g} s, expected less; begin another stream",
            )
        return frame

    async def _text(self) -> str:
        frame = await self._frame()
        if not isinstance(frame, str):
            raise invalid("frame", "samples", "first a JSON object as text")
        return frame

    async def _frame(self) -> str | bytes:
        """The next one; a client that says nothing for too long, or goes on for too long, is refused."""
        left_s = min(self._limits.stream_idle_s, self._end - time.monotonic())
        try:
            async with asyncio.timeout(left_s):
                message = await self._websocket.receive()
        except TimeoutError:
            raise ServiceError("upload_timeout", "the next samples took too long to arrive") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text = message.get("text")
        return message["bytes"] if text is None else text

    async def _event(self, kind: str, **values: object) -> None:
        await self._within_limit(self._websocket.send_json({"type": kind, **values}))

    async def _within_limit(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._limits.stream_idle_s):
                await sending
        except TimeoutError:
            raise _UnreadError from None

    async def _fail(self, error: Exception, accepted: bool) -> None:
        """Say what went wrong, without what was being worked on."""
        code = code_of(error)
        if code == "internal" and not isinstance(error, ServiceError):
            trace = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s %s\n%s", self._id, type(error).__name__, trace)
        failure = error if isinstance(error, ServiceError) else ServiceError(code, message_of(error))
        try:
            if not accepted:
                await _refuse(self._websocket, failure, self._id)
                return
            await self._event("error", **error_body(failure.code, str(failure), self._id))
            await self._within_limit(self._websocket.close(_CLOSE_BASE + failure.status, failure.code))
        except (WebSocketDisconnect, RuntimeError, _UnreadError):
            pass  # the client did not wait for it


class _UnreadError(Exception):
    """The client does not read what it is sent."""


async def _refuse(websocket: WebSocket, error: ServiceError, request_id: str) -> None:
    """Answer the handshake by HTTP."""
    headers = {"X-Request-Id": request_id}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.code == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    body = error_body(error.code, str(error), request_id)
    await websocket.send_denial_response(JSONResponse(body, error.status, headers))
