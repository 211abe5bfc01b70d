"""The homeserver, by matrix-nio: the calls of the client-server API that the bot makes.

Encryption from end to end is switched off, whatever is installed; sync tokens are not stored.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import nio

from cse.bots.matrix.connection import Connection
from cse.bots.messenger import AskedToWaitError, LostError, MessengerError
from cse.bots.patience import patiently
from cse.errors import ConfigError

Answer = TypeVar("Answer")
_TIMEOUT_S = 60.0
_POLL_S = 30.0
_FIRST_SYNC_S = 300.0  # with all rooms of the user
_PAUSE_S = 1.0  # where the homeserver asks to wait, but not for how long
_NOTHING = {"not_types": ["*"]}
_EVENTS = ["m.room.message", "m.reaction", "m.room.redaction", "m.room.encrypted"]
_STATE = ["m.room.member", "m.room.encryption"]
_TIMELINE = {"types": [*_EVENTS, *_STATE], "limit": 100, "lazy_load_members": True}


def _filter(timeline: dict[str, Any]) -> dict[str, Any]:
    state = {"types": _STATE, "lazy_load_members": True}
    room = {"ephemeral": _NOTHING, "account_data": _NOTHING, "state": state, "timeline": timeline}
    return {"presence": _NOTHING, "account_data": _NOTHING, "room": room}


class TokenRefusedError(MessengerError):
    """The homeserver does not know the access token any more."""


class RefusedError(MessengerError):
    """The homeserver refuses a call; it would do so again.

    Attributes:
        code: Its reason, e.g. M_FORBIDDEN.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Homeserver:
    """Calls that are patient, and that all may be repeated: what was sent already is not sent again.

    Args:
        connection: To it.
        patience_s: How long to go on trying.
    """

    def __init__(self, connection: Connection, *, patience_s: float) -> None:
        self._connection = connection
        self._patience_s = patience_s
        # its own patience has no end, so that it is switched off
        config = nio.AsyncClientConfig(
            encryption_enabled=False,
            store=None,
            store_sync_tokens=False,
            max_limit_exceeded=0,
            max_timeouts=0,
            request_timeout=_TIMEOUT_S,
        )
        self._client = nio.AsyncClient(connection.homeserver.rstrip("/"), connection.user, config=config)
        self._client.user_id = connection.user
        self._client.access_token = connection.token

    async def check(self) -> None:
        """Ask whose token it is.

        Raises:
            ConfigError: The token or the user is wrong.
            MessengerError: The homeserver cannot be reached.
        """
        try:
            answer = await self._ask(self._client.whoami, nio.WhoamiResponse)
        except TokenRefusedError:
            raise ConfigError(
                "token: the homeserver does not know it; expected an access token that was not logged out"
            ) from None
        if answer.user_id != self._connection.user:
            raise ConfigError(f"--user: got {self._connection.user}, but the token is another user's")

    async def sync(self) -> nio.SyncResponse:
        """What happened since the last time, once; the first time, which rooms there are.

        Raises:
            MessengerError: It did not work, this once.
        """
        first = not self._client.next_batch
        # what was written before is not even fetched
        call = self._client.sync(
            timeout=0 if first else round(1000 * _POLL_S),
            sync_filter=_filter(_NOTHING if first else _TIMELINE),
        )
        return await _answer(call, nio.SyncResponse, limit_s=_FIRST_SYNC_S if first else 2 * _POLL_S)

    @property
    def first(self) -> bool:
        """Whether the next sync is the first one."""
        return not self._client.next_batch

    def begin_anew(self) -> None:
        """Let the next sync be the first one."""
        self._client.next_batch = ""

    def room(self, room: str) -> nio.MatrixRoom:
        """What is known of a room that the bot is in."""
        return self._client.rooms[room]

    def forget(self, room: str) -> None:
        """Forget a room that the bot has left, or to which it did not go."""
        self._client.rooms.pop(room, None)
        self._client.invited_rooms.pop(room, None)

    async def send(self, room: str, type_: str, content: dict[str, Any], *, transaction: str) -> str:
        """Send an event; returns its id."""
        sent = await self._ask(
            lambda: self._client.room_send(room, type_, content, tx_id=transaction), nio.RoomSendResponse
        )
        return sent.event_id

    async def upload(self, content: bytes, *, name: str, mime: str) -> str:
        """Give a file to the homeserver; returns its mxc address."""

        async def call() -> object:
            answer, _ = await self._client.upload(
                io.BytesIO(content), content_type=mime, filename=name, filesize=len(content)
            )
            return answer

        return (await self._ask(call, nio.UploadResponse)).content_uri

    async def event(self, room: str, event: str) -> dict[str, Any]:
        """An event of a room, which may be an old one."""
        found = await self._ask(lambda: self._client.room_get_event(room, event), nio.RoomGetEventResponse)
        return found.event.source

    async def redact(self, room: str, event: str, *, transaction: str) -> None:
        """Take an event back."""
        await self._ask(
            lambda: self._client.room_redact(room, event, tx_id=transaction), nio.RoomRedactResponse
        )

    async def join(self, room: str) -> None:
        """Accept an invitation."""
        await self._ask(lambda: self._client.join(room), nio.JoinResponse)

    async def leave(self, room: str) -> None:
        """Leave a room, or decline an invitation."""
        await self._ask(lambda: self._client.room_leave(room), nio.RoomLeaveResponse)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _ask(self, call: Callable[[], Awaitable[object]], kind: type[Answer]) -> Answer:
        return await patiently(
            lambda: _answer(call(), kind, limit_s=_TIMEOUT_S), patience_s=self._patience_s, harmless=True
        )


async def _answer(call: Awaitable[Any], kind: type[Answer], *, limit_s: float) -> Answer:
    """What the homeserver answers.

    Raises:
        AskedToWaitError: It was not done.
        LostError: It may have been done.
        TokenRefusedError: The bot has no business there any more.
        RefusedError: It was refused.
    """
    try:
        async with asyncio.timeout(limit_s):
            answer = await call
    except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
        raise LostError(type(error).__name__) from None
    http = answer.transport_response
    # an answer that is no JSON would pass for an empty one
    if isinstance(answer, kind) and http.status < 400:
        return answer
    code = str(getattr(answer, "status_code", None) or "")
    if http.status == 429 or code == "M_LIMIT_EXCEEDED":
        raise AskedToWaitError(_asked_to_wait_s(answer))
    if code in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"):
        raise TokenRefusedError(code)
    if re.fullmatch(r"[A-Z_]{1,50}", code) and http.status < 500:
        raise RefusedError(code)
    raise LostError(f"status {http.status}")


def _asked_to_wait_s(answer: Any) -> float:
    header = answer.transport_response.headers.get("Retry-After", "")
    if header.isdecimal():
        return float(header)
    wait_ms = getattr(answer, "retry_after_ms", None)
    return wait_ms / 1000 if isinstance(wait_ms, int | float) and wait_ms >= 0 else _PAUSE_S
