"""Matrix's events as the bot understands them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cse.bots.messenger import Note
from cse.chat import ChatMessage
from cse.chat.fields import name_of, object_of, text_of
from cse.chat.json_stream import ITEM
from cse.chat.matrix import Matrix

PREFIX = "!"
_COMMAND = re.compile(rf"{PREFIX}(start|stop|status|help|remember|extract)(?:\s+(\S+))?\s*", re.IGNORECASE)
_WHEN_ASKED = ("m.audio", "m.video", "m.file")


def chat_message(event: Mapping[str, Any], *, room: str, name: str | None) -> ChatMessage | None:
    """A message; None for anything else that happens.

    Args:
        event: Of the client-server API.
        room: In which it is.
        name: Of who sent it; None is the part of the user id that is one.

    >>> event = {"type": "m.room.message", "event_id": "$2", "sender": "@ana:example.org", "origin_server_ts": 1,
    ...          "content": {"msgtype": "m.text", "body": "Hi"}}
    >>> found = chat_message(event, room="!a:example.org", name=None)
    >>> found.sender, found.sender_id, found.chat_id, found.text
    ('ana', '@ana:example.org', '!a:example.org', 'Hi')
    """
    if event.get("type") not in ("m.room.message", "m.room.redaction"):
        return None
    message = next(Matrix().read(ITEM, None, {**event, "room_id": room}), None)
    if message is None or name is None:
        return message
    return replace(message, sender=name)


def note_in(event: Mapping[str, Any], message: ChatMessage, *, asked: bool) -> Note | None:
    """The recording in a message, if there is one.

    Args:
        event: The message.
        message: The same.
        asked: Whether somebody asked for this one, so that it may be music, a film or a file too.
    """
    content = object_of(event.get("content"))
    info = object_of(content.get("info"))
    kind, address = content.get("msgtype"), name_of(content.get("url"))  # encrypted files have none
    if message.replaces is not None or message.id is None or address is None:
        return None
    if message.kind != "voice" and not (asked and kind in _WHEN_ASKED):
        return None
    if kind == "m.file" and not text_of(info.get("mimetype")).startswith("audio/"):
        return None
    audio = object_of(content.get("org.matrix.msc1767.audio"))
    duration_ms = _number(info.get("duration"))
    if duration_ms is None:
        duration_ms = _number(audio.get("duration"))
    return Note(
        message, address, _number(info.get("size")), None if duration_ms is None else duration_ms / 1000
    )


def command_in(message: ChatMessage) -> tuple[str, str] | None:
    """The command that a message is, and its first word.

    >>> command_in(ChatMessage("1", "Ana", "!Remember ON"))
    ('remember', 'on')
    """
    found = _COMMAND.fullmatch(message.text)
    if found is None or message.kind != "text" or message.replaces is not None:
        return None
    return found[1].lower(), (found[2] or "").lower()


def answered_by(event: Mapping[str, Any]) -> str | None:
    """The id of the event to which a message replies."""
    relation = object_of(object_of(event.get("content")).get("m.relates_to"))
    return name_of(object_of(relation.get("m.in_reply_to")).get("event_id"))


def reaction_in(event: Mapping[str, Any]) -> tuple[str, str] | None:
    """The event that somebody reacts to, and the symbol, without what says how it is to be drawn."""
    if event.get("type") != "m.reaction":
        return None
    relation = object_of(object_of(event.get("content")).get("m.relates_to"))
    target, symbol = name_of(relation.get("event_id")), text_of(relation.get("key"))
    return None if target is None or not symbol else (target, symbol.rstrip("\ufe0f"))


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
