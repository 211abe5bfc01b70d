"""Matrix events: Element's "Export chat" in JSON, `/messages`, `/context`, `/sync`, a list, or one event a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cse.chat.fields import file_of, name_of, object_of, text_of, utc_time
from cse.chat.json_stream import ENTER_OBJECT, ITEM, Path
from cse.chat.message import ChatMessage, Kind
from cse.chat.pages import Pages

_MEDIA: Mapping[str, Kind] = {"m.audio": "audio", "m.image": "image", "m.video": "video", "m.file": "file"}
_LISTS = (("messages",), ("chunk",), ("events",), ("state",), ("events_before",), ("events_after",))
# `/messages` and `/context` answer with the newest first of what came before, and with the names of people behind it
_PAGES = (("state",), (), ("chunk",), ("events_before",), ("event",), ("events_after",))
_ROOM = ("rooms", "join", "*")
# the beginning of a reply in old clients: the words that it answers
_QUOTED = re.compile(r"(?:> [^\n]*+\n)++\n?")
_MAX_NAMES = 100_000


class Matrix:
    """Reads the steps through a list of events."""

    name = "matrix"
    containers: frozenset[Path] = frozenset(
        {(), *_LISTS, ("rooms",), ("rooms", "join"), _ROOM}
        | {(*_ROOM, part, *rest) for part in ("state", "timeline") for rest in ((), ("events",))}
    )
    pages = Pages(_PAGES, "origin_server_ts")

    def __init__(self) -> None:
        self._room: str | None = None
        self._rooms: dict[str | None, str] = {}
        self._names: dict[str, str] = {}

    @staticmethod
    def claims(path: Path, item: object) -> bool:
        """Whether an item is an event."""
        fields = object_of(item)
        return (
            (path[:-1] in Matrix.containers or path == ("event", "*"))
            and isinstance(fields.get("type"), str)
            and isinstance(fields.get("content"), dict)
            and ("sender" in fields or "origin_server_ts" in fields)
        )

    def read(self, path: Path, key: str | None, value: object) -> Iterator[ChatMessage]:
        """The messages in one step."""
        if path == _ROOM and value is ENTER_OBJECT:
            self._room = key
        elif path == ("room_name",):
            self._rooms[None] = text_of(value)
        elif path[-1:] == ITEM and isinstance(value, dict):
            room = self._room or name_of(value.get("room_id"))
            self._remember(value, room)
            yield self._message(value, room)

    def _remember(self, event: Mapping[str, Any], room: str | None) -> None:
        """Keep the names of people and rooms, which come as events of their own."""
        content = object_of(event.get("content"))
        person, name = name_of(event.get("state_key")), name_of(content.get("displayname"))
        if event.get("type") == "m.room.member" and person and name and len(self._names) < _MAX_NAMES:
            self._names[person] = name
        elif event.get("type") == "m.room.name" and len(self._rooms) < _MAX_NAMES:
            self._rooms[room] = text_of(content.get("name"))

    def _message(self, event: Mapping[str, Any], room: str | None) -> ChatMessage:
        content = object_of(event.get("content"))
        relation = object_of(content.get("m.relates_to"))
        replaces = None
        if relation.get("rel_type") == "m.replace":
            replaces = name_of(relation.get("event_id"))
            content = object_of(content.get("m.new_content")) or content
        kind, text, attachment = _content(event, content)
        if event.get("type") == "m.room.redaction":
            replaces = name_of(event.get("redacts")) or name_of(content.get("redacts"))
        elif text and object_of(relation.get("m.in_reply_to")):
            quoted = _QUOTED.match(text) if text.startswith("> <@") else None
            text = text if quoted is None else text[quoted.end() :].strip()
        sender = name_of(event.get("sender"))
        return ChatMessage(
            sender_id=sender,
            sender=None
            if sender is None
            else self._names.get(sender, sender.removeprefix("@").partition(":")[0]),
            text=text,
            time=utc_time(event.get("origin_server_ts"), per_second=1000),
            kind=kind,
            attachment=attachment,
            id=name_of(event.get("event_id")),
            chat_id=room,
            chat=self._rooms.get(room) or self._rooms.get(None) or None,
            replaces=replaces,
        )


def _content(event: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[Kind, str, str | None]:
    """Kind, words and file name of an event."""
    type_, message = event.get("type"), content.get("msgtype")
    if type_ == "m.room.redaction" or "redacted_because" in object_of(event.get("unsigned")):
        return "deleted", "", None
    if type_ in ("m.room.encrypted", "m.sticker"):
        return "other", "", None
    if type_ != "m.room.message":
        return "system", "", None
    if message is None:
        return "deleted", "", None
    body = text_of(content.get("body"))
    if isinstance(message, str) and message in _MEDIA:
        voice = "org.matrix.msc3245.voice" in content or "m.voice" in content
        file = file_of(content.get("filename")) or file_of(body) or file_of(content.get("url"))
        # the body is the file's name, unless there is a name beside it: then it is the caption
        caption = body if content.get("filename") and body != content["filename"] else ""
        return "voice" if voice else _MEDIA[message], caption, file
    if message in ("m.text", "m.emote"):
        return "text", body, None
    return (
        ("system", body, None) if message == "m.notice" else ("other", "", None)
    )  # notices are written by bots
