"""Updates as bots get them from Telegram: the answer of getUpdates, a list, or one update a line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from cse.chat.fields import file_of, media_kind, name_of, object_of, objects_of, text_of, utc_time
from cse.chat.json_stream import ITEM, Path
from cse.chat.message import ChatMessage, Kind
from cse.chat.pages import Pages

_NEW = ("message", "channel_post", "business_message")
_EDITED = ("edited_message", "edited_channel_post", "edited_business_message")
_MEDIA: Mapping[str, Kind | None] = {  # None: its media type tells
    "voice": "voice",
    "audio": "audio",
    "video_note": "video",
    "animation": "other",
    "video": "video",
    "photo": "image",
    "sticker": "other",
    "document": None,
    "contact": "other",
    "location": "other",
    "poll": "other",
    "dice": "other",
}
_REMEMBERED = 1000  # updates; Telegram sends one again only shortly after


class TelegramBot:
    """Reads the steps through a list of updates."""

    name = "telegram-bot"
    containers: frozenset[Path] = frozenset({(), ("result",)})
    pages = Pages()

    def __init__(self) -> None:
        self._seen: deque[object] = deque(maxlen=_REMEMBERED)

    @staticmethod
    def claims(path: Path, item: object) -> bool:
        """Whether an item is an update."""
        return path in (ITEM, ("result", "*")) and "update_id" in object_of(item)

    def read(self, path: Path, key: str | None, value: object) -> Iterator[ChatMessage]:
        """The messages in one step."""
        update = object_of(value)
        number = update.get("update_id")
        if path[-1:] != ITEM or number is None or number in self._seen:
            return
        self._seen.append(number)
        for field in (*_NEW, *_EDITED):
            if isinstance(update.get(field), dict):
                yield _message(update[field], edited=field in _EDITED)


def _message(item: Mapping[str, Any], *, edited: bool) -> ChatMessage:
    # a channel, or a group's anonymous administrator, writes in its own name
    sender = object_of(item.get("sender_chat")) or object_of(item.get("from"))
    chat = object_of(item.get("chat"))
    kind, attachment = _media(item)
    text = text_of(item.get("text")) or text_of(item.get("caption"))
    number = name_of(item.get("message_id"))
    if _is_command(item) or (kind == "text" and not text):
        kind = "system"
    return ChatMessage(
        sender_id=name_of(sender.get("id")),
        sender=_name(sender),
        text=text,
        time=utc_time(item.get("date")),
        kind=kind,
        attachment=attachment,
        forwarded_from=_origin(item),
        id=number,
        chat_id=name_of(chat.get("id")),
        chat=_name(chat),
        replaces=number if edited else None,
    )


def _name(who: Mapping[str, Any]) -> str | None:
    full = f"{text_of(who.get('first_name'))} {text_of(who.get('last_name'))}".strip()
    return name_of(who.get("title")) or full or name_of(who.get("username"))


def _media(item: Mapping[str, Any]) -> tuple[Kind, str | None]:
    for field, kind in _MEDIA.items():
        if field in item:
            content = item[field]
            # sizes of a photo: the last one is the largest
            fields = (objects_of(content) or [{}])[-1] if isinstance(content, list) else object_of(content)
            file = file_of(fields.get("file_name")) or file_of(fields.get("file_unique_id"))
            return kind or media_kind(fields.get("mime_type"), file), file
    return "text", None


def _is_command(item: Mapping[str, Any]) -> bool:
    """Whether a message is for the bot (`/extract`), not for the people in the chat."""
    return any(
        entity.get("type") == "bot_command" and entity.get("offset") == 0
        for entity in objects_of(item.get("entities"))
    )


def _origin(item: Mapping[str, Any]) -> str | None:
    """Who wrote a forwarded message; the fields before Bot API 7.0 too."""
    origin = object_of(item.get("forward_origin"))
    for fields in (origin, item):
        for field in ("sender_user", "sender_chat", "chat", "forward_from", "forward_from_chat"):
            # the chat and sender_chat of the message itself are where and as whom it was forwarded
            if (fields is origin or field.startswith("forward")) and field in fields:
                return _name(object_of(fields[field]))
    return name_of(origin.get("sender_user_name")) or name_of(item.get("forward_sender_name"))
