"""A channel as DiscordChatExporter writes it in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cse.chat.fields import file_of, iso_time, media_kind, name_of, object_of, objects_of, text_of
from cse.chat.json_stream import ITEM, Path
from cse.chat.message import ChatMessage, Kind
from cse.chat.pages import Pages

# what people write (old exports have numbers); every other type is a notice
_WRITTEN = frozenset({"Default", "Reply", "0", "19"})


class Discord:
    """Reads the steps through an export."""

    name = "discord"
    containers: frozenset[Path] = frozenset({(), ("guild",), ("channel",), ("messages",)})
    pages = Pages()

    def __init__(self) -> None:
        self._id: str | None = None
        self._name: str | None = None

    @staticmethod
    def claims(path: Path, item: object) -> bool:
        """Whether an item is a message of this format."""
        fields = object_of(item)
        return (
            path in (ITEM, ("messages", "*"))
            and isinstance(fields.get("author"), dict)
            and "timestamp" in fields
            and "content" in fields
        )

    def read(self, path: Path, key: str | None, value: object) -> Iterator[ChatMessage]:
        """The messages in one step."""
        if path == ("channel", "id"):
            self._id = name_of(value)
        elif path == ("channel", "name"):
            self._name = name_of(value)
        elif path[-1:] == ITEM:
            yield self._message(object_of(value))

    def _message(self, item: Mapping[str, Any]) -> ChatMessage:
        author = object_of(item.get("author"))
        forwarded = object_of(item.get("forwardedMessage"))
        source = forwarded or item
        text = text_of(source.get("content"))
        kind, attachment = _attachment(source)
        if name_of(item.get("type")) not in _WRITTEN:
            kind = "system"
        elif kind == "text" and not text:
            kind = "other"  # a sticker, or what an embed shows
        return ChatMessage(
            sender_id=name_of(author.get("id")) or name_of(author.get("name")),
            sender=name_of(author.get("nickname")) or name_of(author.get("name")),
            text=text,
            time=iso_time(item.get("timestamp")),
            kind=kind,
            attachment=attachment,
            # Discord does not say whose words they were
            forwarded_from="unknown" if forwarded else None,
            id=name_of(item.get("id")),
            chat_id=self._id,
            chat=self._name,
        )


def _attachment(item: Mapping[str, Any]) -> tuple[Kind, str | None]:
    for file in objects_of(item.get("attachments")):
        name = file_of(file.get("fileName")) or file_of(file.get("url"))
        return ("voice" if name == "voice-message.ogg" else media_kind(None, name)), name
    return "text", None
