"""Limits of bodies, kept before anything else looks at them: size, time, and the memory of all together."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cse.service.admission import Budget
from cse.service.errors import ServiceError

_LINGER_S = 1.0


class BodyLimits:
    """ASGI middleware that counts the bytes of a body as they come, announced or chunked.

    Args:
        app: What it protects.
        max_bytes: Of one body.
        upload_limit_s: Time for one body.
        budget: Of all bodies together.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, upload_limit_s: float, budget: Budget) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._upload_limit_s = upload_limit_s
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on under the limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._upload_limit_s
        headers = dict(scope["headers"])
        body = _Body(
            receive,
            announced=int(headers.get(b"content-length", b"0")),
            max_bytes=self._max_bytes,
            deadline=deadline,
            budget=self._budget,
        )
        # of HTTP/1.1: a body has a length or is chunked
        body.complete = b"transfer-encoding" not in headers and body.announced == 0
        # such a client sends nothing before it is asked to
        polite = headers.get(b"expect", b"").lower() == b"100-continue"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.complete:
                if not polite:
                    await body.drain()
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        try:
            await self._app(scope, body.receive, answer)
        finally:
            body.forget()


class _Body:
    """A body on its way in."""

    def __init__(
        self, receive: Receive, *, announced: int, max_bytes: int, deadline: float, budget: Budget
    ) -> None:
        self.announced = announced
        self.complete = False
        self._receive = receive
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._budget = budget
        self._bytes = 0

    def _check(self, count: int) -> None:
        if count > self._max_bytes:
            raise ServiceError(
                "body_too_large",
                f"body: got more than {self._max_bytes / 2**20:g} MB, expected less; compress the recording, or cut it "
                "into parts",
            )

    async def receive(self) -> Message:
        """The next part, counted."""
        if self.complete:
            return await self._receive()
        self._check(self.announced)
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise ServiceError("upload_timeout", "body: took too long to arrive; try again") from None
        count = len(message.get("body", b""))
        self._check(self._bytes + count)
        self._budget.take(count)
        self._bytes += count
        self.complete = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read on for a moment: a connection that is closed with unread data is reset, and the answer lost with it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                count = 0
                while count < self._max_bytes:
                    message = await self._receive()
                    count += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def forget(self) -> None:
        """The request is over."""
        self._budget.give_back(self._bytes)
        self._bytes = 0
