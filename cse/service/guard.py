"""What surrounds every request: its id, its errors as JSON, its line in the log, its place in the metrics."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
import traceback
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cse.service.errors import ServiceError, code_of, message_of
from cse.service.metrics import Metrics

log = logging.getLogger("cse.service")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")


def error_body(code: str, message: str, request_id: str) -> dict[str, Any]:
    """The one form of an error."""
    return {"error": {"code": code, "message": message, "request_id": request_id}}


class Guard:
    """ASGI middleware that lets no error out but as JSON with a stable code, and logs no words of anybody.

    The log says method, route, status, code and time. A bug is logged as where it happened, without the exception's
    message, which may quote what was being worked on.

    Args:
        app: What it surrounds.
        metrics: Counts the requests.
        replica: Name of this process, sent with every answer.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, replica: str) -> None:
        self._app = app
        self._metrics = metrics
        self._replica = replica

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request_id.encode()), (b"x-cse-replica", self._replica.encode())]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        code = "-"
        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            code = code_of(error)
            if code == "internal" and not isinstance(error, ServiceError):
                log.error(
                    "%s %s\n%s",
                    request_id,
                    type(error).__name__,
                    "".join(traceback.format_tb(error.__traceback__)),
                )
            self._metrics.errors.labels(code).inc()
            if status == 0:
                # under no second name: the error holds this frame, and what was sent
                await _send_error(answer, error, request_id)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(seconds)
            # probes come all the time
            level = logging.DEBUG if route in _PROBES else logging.INFO
            log.log(level, "%s %s %s %d %s %.3f s", request_id, method, route, status, code, seconds)


_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


async def _send_error(send: Send, cause: Exception, request_id: str) -> None:
    error = cause if isinstance(cause, ServiceError) else ServiceError(code_of(cause), message_of(cause))
    body = json.dumps(error_body(error.code, str(error), request_id)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    if error.code == "unauthorized":
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
