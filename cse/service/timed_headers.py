"""Connections on which the headers of a request take too long are closed; uvicorn would wait for ever."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedHeaders(H11Protocol):
    """A connection that begins a request in time, or is closed.

    Attributes:
        limit_s: From the connection, or from the first byte of a later request, to the last one of its headers.
    """

    limit_s: float
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, and see whether they were the last ones of the headers."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.limit_s, self.transport.close)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def timed_headers(limit_s: float) -> type[TimedHeaders]:
    """The protocol for uvicorn, which makes its instances itself, with a limit."""
    return type("TimedHeaders", (TimedHeaders,), {"limit_s": limit_s})
