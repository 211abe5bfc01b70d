"""One conversation on a WebSocket, with a client that is made up: what no real one does reliably."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Self

import pytest

pytest.importorskip("fastapi", reason='needs: pip install "cse[service]"')

from starlette.websockets import WebSocketDisconnect

from cse.service.auth import Doorkeeper
from cse.service.metrics import Metrics
from cse.service.settings import Settings
from cse.service.stream_route import Conversation


class Client:
    """Sends one first frame and samples for ever.

    Args:
        reads: How many messages it reads; then the service waits for it.
        stays: Whether it is still there then.
        pause_s: Before every message.
    """

    def __init__(self, *, reads: int, stays: bool = True, pause_s: float = 0.0) -> None:
        self.headers = {"host": "localhost"}
        self.sent: list[Any] = []
        self._reads = reads
        self._stays = stays
        self._pause_s = pause_s
        self._first = True

    async def accept(self, **_: Any) -> None:
        pass

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(self._pause_s)
        if self._first:
            self._first = False
            return {"type": "websocket.receive", "text": '{"history": "Hi", "sample_rate": 8000}'}
        return {"type": "websocket.receive", "bytes": bytes(16)}

    async def send_json(self, value: Any) -> None:
        if len(self.sent) >= self._reads:
            if not self._stays:
                raise WebSocketDisconnect(1006)
            await asyncio.sleep(60)
        self.sent.append(value)

    send_bytes = send_json

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.sent.append((code, reason))


class Place:
    """In place of a stream and of all of them: gives back what it gets."""

    choice = None

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(max_streams=1, **settings)
        self.metrics = Metrics()
        self.left = 0

    def enter(self) -> Self:
        return self

    async def open(self, _: Any) -> dict[str, Any]:
        return {}

    async def push(self, samples: memoryview) -> bytes:
        return bytes(samples)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.left += 1


def hold(client: Client, place: Place) -> float:
    """Have the conversation; how long it took, in seconds."""
    doorkeeper = Doorkeeper(api_keys=(), allowed_hosts=("localhost",))
    began = time.monotonic()
    asyncio.run(Conversation(client, place, doorkeeper).run())  # type: ignore[arg-type]
    return time.monotonic() - began


@pytest.mark.parametrize("stays", [True, False])
def test_a_client_that_reads_nothing_loses_its_place(stays):
    client, place = Client(reads=3, stays=stays), Place(stream_idle_s=0.2)
    assert hold(client, place) < 5
    assert place.left == 1 and len(client.sent) == 3  # and nothing piled up
    assert 'cse_errors_total{code="client_gone"} 1.0' in place.metrics.text().decode()


def test_a_client_that_goes_on_for_ever_is_told_to_stop():
    """Eight samples now and then would take hours to be too long."""
    client, place = Client(reads=10**6, pause_s=0.02), Place(stream_idle_s=0.2, max_stream_s=0.3)
    assert hold(client, place) < 5
    assert place.left == 1
    assert client.sent[-2]["error"]["code"] == "upload_timeout"
    assert client.sent[-1] == (4408, "upload_timeout")
