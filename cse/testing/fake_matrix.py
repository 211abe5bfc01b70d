"""A Matrix homeserver on the loopback address, for tests; see `cse.testing.fake_messenger`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cse.bots.matrix.buttons import SYMBOL
from cse.bots.matrix.incoming import PREFIX
from cse.testing.fake_messenger import FakeMessenger, Stored
from cse.testing.matrix_rooms import (
    BOT,
    SERVER,
    Happening,
    Room,
    Said,
    SentEvent,
    state_event,
    user_id,
    voice_content,
)

_CLIENT = "/_matrix/client/v3"
_LONGEST_POLL_S = 0.3
_Handler = Callable[[Request], Awaitable[Response]]


class FakeMatrix(FakeMessenger):
    """The client-server API. A chat with a number below 0 is a room of several people.

    The bot is in every room from the moment in which something is written there, but for those to which it is
    invited; each of them has a past that does not concern it.

    Attributes:
        sent: The events that the bot sent, in order.
        joined: The rooms into which it went by itself.
        redacted: The events that it took back.
        queries: The query strings of all its calls.
    """

    name = "matrix"
    token = "syt_fake-token_of-a-bot-that-nobody-has"
    token_variable = "CSE_MATRIX_TOKEN"
    prefix = PREFIX

    def __init__(self) -> None:
        room = f"{_CLIENT}/rooms/{{room}}"
        routes: list[tuple[str, str, _Handler]] = [
            ("GET", f"{_CLIENT}/account/whoami", self._whoami),
            ("GET", f"{_CLIENT}/sync", self._sync),
            ("PUT", f"{room}/send/{{type}}/{{transaction}}", self._send),
            ("PUT", f"{room}/redact/{{event}}/{{transaction}}", self._redact),
            ("GET", f"{room}/event/{{event}}", self._event),
            ("POST", f"{room}/leave", self._leave),
            ("POST", f"{_CLIENT}/join/{{room}}", self._join),
            ("POST", "/_matrix/media/v3/upload", self._upload),
            ("GET", f"/_matrix/client/v1/media/download/{SERVER}/{{file}}", self._download),
        ]
        super().__init__([Route(path, self._guarded(call), methods=[verb]) for verb, path, call in routes])
        self.sent: list[SentEvent] = []
        self.joined: list[str] = []
        self.redacted: list[str] = []
        self.queries: list[str] = []
        self._rooms: dict[str, Room] = {}
        self._happened: list[Happening] = []
        self._files: dict[str, Stored] = {}
        self._transactions: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()  # whose names the bot knows

    @property
    def connection(self) -> dict[str, Any]:
        """What a bot needs to know to find it."""
        return {"homeserver": self.url, "user": BOT}

    def say(self, chat: int, text: str, *, sender: str = "Ana", edits: str | None = None, **more: Any) -> str:
        """Somebody writes a message, or corrects one; returns its id."""
        content = {"msgtype": "m.text", "body": text, **more}
        if edits is not None:
            content |= {
                "body": f"* {text}",
                "m.new_content": {"msgtype": "m.text", "body": text},
                "m.relates_to": {"rel_type": "m.replace", "event_id": edits},
            }
        return self.write(chat, "m.room.message", content, sender=sender)

    def command(self, chat: int, text: str, *, reply_to: str | None = None, sender: str = "Ana") -> str:
        """Somebody types a command, here written with a slash; returns the message."""
        relation: dict[str, Any] = (
            {} if reply_to is None else {"m.relates_to": {"m.in_reply_to": {"event_id": reply_to}}}
        )
        return self.say(chat, self.prefix + text.removeprefix("/"), sender=sender, **relation)

    def voice_note(
        self,
        chat: int,
        content: bytes,
        *,
        sender: str = "Ben",
        size: int | None = None,
        duration_s: float = 1,
        breaks: int = 0,
        slow_s: float = 0.0,
        unsized: bool = False,
        hidden: bool = False,
        kind: str = "voice",
        **more: Any,
    ) -> str:
        """Somebody sends a voice note; see `FakeTelegram.voice_note`."""
        file = f"file-{next(self._numbers)}"
        self._files[file] = Stored(content, breaks=breaks, slow_s=slow_s, unsized=unsized)
        announced = None if unsized else len(content) if size is None else size
        url = f"mxc://{SERVER}/{file}"
        message = voice_content(url, content, kind=kind, size=announced, duration_s=duration_s)
        return self.write(chat, "m.room.message", {**message, **more}, sender=sender, hidden=hidden)

    def press(self, chat: int, answer: Said, *, symbol: str = SYMBOL) -> str:
        """Somebody reacts to a message of the bot."""
        relation = {"rel_type": "m.annotation", "event_id": answer.button, "key": symbol}
        return self.write(chat, "m.reaction", {"m.relates_to": relation}, sender="Ana")

    def write(
        self,
        chat: int,
        type_: str,
        content: dict[str, Any],
        *,
        sender: str,
        hidden: bool = False,
        **more: Any,
    ) -> str:
        """Any event that somebody sends; returns its id."""
        room = self._in_room(chat)
        user = user_id(sender)
        room.names[user] = sender
        return self._happen(room, type_, content, sender=user, hidden=hidden, **more)

    def invite(self, chat: int, *, by: str = "Ana", server: str = SERVER, encrypted: bool = False) -> str:
        """Somebody invites the bot; returns the room."""
        room = self._room(chat)
        room.bot, room.encrypted = "invite", encrypted
        member = state_event(
            "m.room.member", BOT, {"membership": "invite"}, sender=user_id(by, server=server)
        )
        self._happened.append(Happening(room, "invite", member))
        return room.id

    def encrypt(self, chat: int) -> None:
        """Somebody switches encryption on."""
        room = self._in_room(chat)
        room.encrypted = True
        content = {"algorithm": "m.megolm.v1.aes-sha2"}
        event = state_event("m.room.encryption", "", content, sender=user_id("Ana"))
        self._happened.append(Happening(room, "event", event))

    @property
    def syncs(self) -> list[str]:
        """The query strings of its syncs."""
        return [query for query in self.queries if "filter=" in query]

    def last_update(self) -> Happening:
        """The last thing that happened."""
        return self._happened[-1]

    def repeat(self, happening: Happening) -> None:
        """Let something come once more."""
        self._happened.append(happening)

    def file_of(self, chat: int, message: str) -> Stored:
        """The file of a voice note."""
        return self._files[self._room(chat).events[message]["content"]["url"].rpartition("/")[2]]

    def answers(self, chat: int) -> list[Said]:
        """What the bot has sent to a room: voices with the words after them, and the buttons below these."""
        found: list[Said] = []
        audio: SentEvent | None = None
        events = [event for event in self.sent if event.room == self._room(chat).id]
        buttons = {
            event.content["m.relates_to"]["event_id"] for event in events if event.type == "m.reaction"
        }
        for event in events:
            if event.content.get("msgtype") == "m.audio":
                audio = event
            elif event.type == "m.room.message":
                voice = (
                    None if audio is None else self._files[audio.content["url"].rpartition("/")[2]].content
                )
                found.append(Said(event, audio, voice))
                audio = None
        return [said for said in found if said.button is None or said.button in buttons]

    def membership(self, chat: int) -> str:
        """Whether the bot is in a room: join, invite or leave."""
        return self._room(chat).bot

    def ask_to_wait(self, chat: int, wait_s: float) -> None:
        """Refuse the next voice of the bot for so long."""
        self.refuse(
            "m.audio", self._room(chat).id, times=1, code=429, description="M_LIMIT_EXCEEDED",
            retry_after_ms=round(1000 * wait_s),
        )  # fmt: skip

    def cut_off(self) -> None:
        """Do not answer the bot when it next asks what happened, and wait until it did."""
        self.refuse("sync", 0, times=1, code=502, description="")
        self.wait_until(lambda: self.refused("sync", 0))

    def block(self, chat: int) -> None:
        """Somebody wants nothing more of the bot, as it hears when it next says something; wait until it did."""
        room = self._room(chat).id
        self.refuse("m.notice", room, times=1, code=403, description="M_FORBIDDEN")
        self.command(chat, "/help")
        self.wait_until(lambda: self.refused("m.notice", room))

    def remove(self, chat: int) -> None:
        """Somebody removes the bot from a room."""
        self._part(self._room(chat), by=user_id("Ana"))

    def _room(self, chat: int) -> Room:
        name = f"!{abs(chat)}:{SERVER}"
        return self._rooms.setdefault(name, Room(name, joined=3 if chat < 0 else 2))

    def _in_room(self, chat: int) -> Room:
        """A room that the bot is in, from now on if it was not; what was written there before is told all the same."""
        room = self._room(chat)
        if room.bot == "leave":
            self._happen(
                room, "m.room.message", {"msgtype": "m.text", "body": "Before"}, sender=user_id("Ana")
            )
            self._happen(
                room, "m.room.message", {"msgtype": "m.text", "body": "!status"}, sender=user_id("Ana")
            )
            self._enter(room)
        return room

    def _enter(self, room: Room) -> None:
        room.bot = "join"
        self._happened.append(Happening(room, "event", room.state(BOT)))

    def _part(self, room: Room, *, by: str) -> None:
        room.bot = "leave"
        content = {"membership": "leave"}
        self._happened.append(Happening(room, "leave", state_event("m.room.member", BOT, content, sender=by)))

    def _happen(
        self,
        room: Room,
        type_: str,
        content: dict[str, Any],
        *,
        sender: str,
        hidden: bool = False,
        **more: Any,
    ) -> str:
        number = f"${next(self._numbers)}"
        event = {
            "type": type_, "content": content, "sender": sender, "event_id": number,
            "origin_server_ts": round(1000 * time.time()), **more,
        }  # fmt: skip
        room.events[number] = event
        if not hidden:
            self._happened.append(Happening(room, "event", event))
        return number

    def _guarded(self, call: _Handler) -> _Handler:
        async def guarded(request: Request) -> Response:
            self.queries.append(request.url.query)
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                return _error(401, "M_UNKNOWN_TOKEN")
            return await call(request)

        return guarded

    async def _whoami(self, _: Request) -> Response:
        return JSONResponse({"user_id": BOT, "device_id": "FAKE"})

    async def _sync(self, request: Request) -> Response:
        """What happened since a token; without one, which rooms there are."""
        if (refusal := self._refusal("sync", 0)) is not None:
            return _error(refusal.code, refusal.description, **refusal.parameters)
        since = request.query_params.get("since")
        if since is None:
            self._told.clear()
            happened = list(self._happened)
            start = 0
        else:
            start = int(since.removeprefix("s"))
            end_s = time.monotonic() + min(
                _LONGEST_POLL_S, int(request.query_params.get("timeout", 0)) / 1000
            )
            while len(self._happened) == start and time.monotonic() < end_s:
                await asyncio.sleep(0.02)
            happened = self._happened[start:]
            # one membership of the bot in each answer
            turns = [place for place, one in enumerate(happened) if one.kind != "event"]
            happened = happened[: turns[0] + 1] if turns else happened
        rooms: dict[str, dict[str, Any]] = {"join": {}, "invite": {}, "leave": {}}
        for one in happened:
            self._tell(rooms, one)
        wanted = json.loads(request.query_params["filter"])["room"]["timeline"]
        if wanted.get("not_types") == ["*"]:
            for told in rooms["join"].values():
                events, told["timeline"]["events"] = told["timeline"]["events"], []
                told["state"]["events"] += [event for event in events if "state_key" in event]
        return JSONResponse({"next_batch": f"s{start + len(happened)}", "rooms": rooms})

    def _tell(self, rooms: dict[str, dict[str, Any]], happening: Happening) -> None:
        """Add what happened to the answer of a sync."""
        room, event = happening.room, happening.event
        if happening.kind == "invite":
            rooms["invite"][room.id] = {"invite_state": {"events": [event]}}
            return
        if happening.kind == "leave":
            rooms["join"].pop(room.id, None)
            rooms["leave"][room.id] = {"state": {"events": []}, "timeline": {"events": [event]}}
            return
        rooms["invite"].pop(room.id, None)
        rooms["leave"].pop(room.id, None)
        empty: dict[str, Any] = {
            "state": {"events": []},
            "timeline": {"events": [], "limited": False, "prev_batch": "p"},
            "summary": {"m.joined_member_count": room.joined, "m.invited_member_count": 0},
        }
        told = rooms["join"].setdefault(room.id, empty)
        sender = event["sender"]
        if (room.id, sender) not in self._told and sender in room.names:  # as with lazy_load_members
            self._told.add((room.id, sender))
            told["state"]["events"].append(room.state(sender))
        told["timeline"]["events"].append(event)

    async def _send(self, request: Request) -> Response:
        """An event of the bot; with a transaction that was there already, the same one."""
        room, type_ = self._rooms[request.path_params["room"]], request.path_params["type"]
        content = json.loads(await request.body())
        method = content.get("msgtype", type_)
        if (refusal := self._refusal(method, room.id)) is not None:
            return _error(refusal.code, refusal.description, **refusal.parameters)
        if room.bot != "join":
            return _error(403, "M_FORBIDDEN")
        transaction = request.path_params["transaction"]
        if transaction not in self._transactions:
            event = self._happen(room, type_, content, sender=BOT)
            self._transactions[transaction] = event
            self.sent.append(SentEvent(room.id, type_, content, event, time.monotonic()))
        if self._refusal(f"answer to {method}", room.id) is not None:
            return Response(status_code=502)  # what is before the homeserver says so
        return JSONResponse({"event_id": self._transactions[transaction]})

    async def _redact(self, request: Request) -> Response:
        event = request.path_params["event"]
        self.redacted.append(event)
        return JSONResponse({"event_id": f"${next(self._numbers)}"})

    async def _event(self, request: Request) -> Response:
        event = self._rooms[request.path_params["room"]].events.get(request.path_params["event"])
        return _error(404, "M_NOT_FOUND") if event is None else JSONResponse(event)

    async def _join(self, request: Request) -> Response:
        room = self._rooms[request.path_params["room"]]
        if (refusal := self._refusal("join", room.id)) is not None:
            return _error(refusal.code, refusal.description, **refusal.parameters)
        self.joined.append(room.id)
        if room.encrypted:
            event = state_event("m.room.encryption", "", {"algorithm": "m.megolm.v1.aes-sha2"})
            self._happened.append(Happening(room, "event", event))
        self._enter(room)
        return JSONResponse({"room_id": room.id})

    async def _leave(self, request: Request) -> Response:
        self._part(self._rooms[request.path_params["room"]], by=BOT)
        return JSONResponse({})

    async def _upload(self, request: Request) -> Response:
        file = f"file-{next(self._numbers)}"
        self._files[file] = Stored(await request.body())
        return JSONResponse({"content_uri": f"mxc://{SERVER}/{file}"})

    async def _download(self, request: Request) -> Response:
        file = self._files[request.path_params["file"]]
        if (refusal := self._refusal("download", request.path_params["file"])) is not None:
            return Response(status_code=refusal.code, headers={"Retry-After": "1"})
        file.fetched += 1
        await asyncio.sleep(file.slow_s)
        return file.download()


def _error(status: int, code: str, **parameters: Any) -> Response:
    if not code:
        return Response("<html>Bad Gateway</html>", status_code=status)
    body = {"errcode": code, "error": "refused", **parameters}
    return JSONResponse(body, status_code=status)
