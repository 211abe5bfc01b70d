"""The webhook: Telegram sends updates to an address of ours, with a secret that nobody else knows."""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from cse.errors import ConfigError

_MAX_BYTES = 2**20  # of an update; texts have 4096 characters
_LIMIT_S = 10.0


def webhook_app(*, path: str, secret: str, take: Callable[[dict[str, Any]], bool]) -> Starlette:
    """The application with the one route.

    Args:
        path: At which updates arrive.
        secret: That comes with each.
        take: Takes an update, at once; False if it cannot, so that Telegram sends it again later.
    """

    async def receive(request: Request) -> Response:
        given = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        # before anything of the body is read
        if not hmac.compare_digest(given.encode(), secret.encode()):
            return Response(status_code=403)
        try:
            async with asyncio.timeout(_LIMIT_S):
                body = await _body(request)
            update = None if body is None else json.loads(body)
        except (TimeoutError, ClientDisconnect):
            return Response(status_code=408)
        except (ValueError, RecursionError):
            return Response(status_code=400)
        if body is None:
            return Response(status_code=413)
        if not isinstance(update, dict) or not isinstance(update.get("update_id"), int):
            return Response(status_code=400)
        return Response(status_code=200 if take(update) else 503)

    return Starlette(routes=[Route(path, receive, methods=["POST"])])


async def _body(request: Request) -> bytes | None:
    """The body; None if it is too long."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BYTES:
            return None
    return bytes(body)


class WebhookServer(uvicorn.Server):
    """Serves in the event loop of the bot, which takes the signals.

    Args:
        app: To serve.
        host: Address to listen on.
        port: To listen on; 0 takes one that is free.

    Raises:
        ConfigError: It cannot be listened on.
    """

    def __init__(self, app: Starlette, *, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http="h11",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listening = socket.create_server((host, port), family=family)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"--port: cannot listen on {host}:{port}: {reason}; expected a free one"
            ) from None
        self.port: int = self._listening.getsockname()[1]
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to serve."""
        self._serving = asyncio.create_task(self.serve([self._listening]))

    async def close(self) -> None:
        """Finish answers and listen no more."""
        self.should_exit = True
        if self._serving is not None:
            await self._serving
        self._listening.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the bot."""
        yield
