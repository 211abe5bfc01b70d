"""Rooms of the fake homeserver, their events, and what the bot said in them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

SERVER = "fake.example"
BOT = f"@voices:{SERVER}"
_HINT = "React with "


@dataclass
class Room:
    """A room.

    Attributes:
        id: Of it.
        joined: How many people are in it, with the bot.
        events: All, by their id.
        names: Of those who wrote, by user id.
        encrypted: Whether it is.
        bot: The bot's membership: join, invite or leave.
    """

    id: str
    joined: int
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    encrypted: bool = False
    bot: str = "leave"

    def state(self, user: str) -> dict[str, Any]:
        """The event by which somebody is a member."""
        content = {"membership": "join", "displayname": self.names.get(user, "Voices")}
        return state_event("m.room.member", user, content, sender=user)


@dataclass(frozen=True)
class Happening:
    """What a sync tells of a room.

    Attributes:
        room: In which it happened.
        kind: event, invite or leave.
        event: What happened.
    """

    room: Room
    kind: str
    event: dict[str, Any]


@dataclass(frozen=True)
class SentEvent:
    """An event that the bot sent.

    Attributes:
        room: To which.
        type: E.g. m.room.message.
        content: Of it.
        event_id: Of it.
        time_s: When, on a clock that only goes forward.
    """

    room: str
    type: str
    content: dict[str, Any]
    event_id: str
    time_s: float


@dataclass(frozen=True)
class Said:
    """An answer as people see it: words, and the voice message before them, if there is one.

    Attributes:
        text: The event with the words.
        audio: That with the voice.
        voice: Its file.
    """

    text: SentEvent
    audio: SentEvent | None = None
    voice: bytes | None = None

    @property
    def words(self) -> str:
        """The text, without what says how to press the button."""
        body = str(self.text.content["body"])
        return body.rpartition("\n\n")[0] if self.button else body

    @property
    def button(self) -> str | None:
        """The event to which to react."""
        hint = str(self.text.content["body"]).rpartition("\n\n")[2]
        return self.text.event_id if hint.startswith(_HINT) else None

    @property
    def reply_to(self) -> str | None:
        """The event to which it replies."""
        relation = self.text.content.get("m.relates_to", {})
        return relation.get("m.in_reply_to", {}).get("event_id")

    @property
    def duration_s(self) -> float | None:
        """Of the voice message, as announced."""
        return None if self.audio is None else self.audio.content["info"]["duration"] / 1000

    @property
    def time_s(self) -> float:
        """When it was sent."""
        return (self.audio or self.text).time_s


def user_id(name: str, *, server: str = SERVER) -> str:
    """Of somebody, by any name."""
    return f"@u{zlib.crc32(name.encode())}:{server}"


def state_event(type_: str, key: str, content: dict[str, Any], *, sender: str = BOT) -> dict[str, Any]:
    """An event by which a room is as it is."""
    return {
        "type": type_,
        "state_key": key,
        "content": content,
        "sender": sender,
        "event_id": f"${zlib.crc32(f'{type_} {key} {content}'.encode())}",
        "origin_server_ts": 1,
    }


def voice_content(
    url: str, content: bytes, *, kind: str, size: int | None, duration_s: float
) -> dict[str, Any]:
    """The content of a message with a recording; a voice message says so by a mark of its own."""
    types = {"voice": "m.audio", "audio": "m.audio", "video_note": "m.video"}
    message: dict[str, Any] = {
        "msgtype": types[kind],
        "body": "Voice message.ogg",
        "url": url,
        "info": {"mimetype": "audio/ogg", "duration": round(1000 * duration_s), "size": size},
    }
    if size is None:
        del message["info"]["size"]
    if kind == "voice":
        message |= {"org.matrix.msc3245.voice": {}, "org.matrix.msc1767.audio": {"waveform": []}}
    return message
