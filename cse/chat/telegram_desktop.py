"""Telegram Desktop's "Export chat history" and "Export Telegram data" in JSON: `result.json` of one chat or of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cse.chat.fields import file_of, iso_time, media_kind, name_of, object_of, text_of
from cse.chat.json_stream import ENTER_OBJECT, Path
from cse.chat.message import ChatMessage, Kind
from cse.chat.pages import Pages

_KINDS: Mapping[str, Kind] = {
    "voice_message": "voice",
    "audio_file": "audio",
    "video_message": "video",
    "video_file": "video",
    "animation": "other",
    "sticker": "other",
}
_ALL = ("chats", "left_chats")


class TelegramDesktop:
    """Reads the steps through a `result.json`."""

    name = "telegram"
    containers: frozenset[Path] = frozenset(
        {(), ("messages",)}
        | {(top, *rest) for top in _ALL for rest in ((), ("list",), ("list", "*"), ("list", "*", "messages"))}
    )
    pages = Pages()

    def __init__(self) -> None:
        self._id: str | None = None
        self._name: str | None = None

    @staticmethod
    def claims(path: Path, item: object) -> bool:
        """Whether an item is a message of this format."""
        fields = object_of(item)
        return (
            path[-2:] == ("messages", "*")
            and fields.get("type") in ("message", "service")
            and "date" in fields
            and ("text" in fields or "action" in fields)
        )

    def read(self, path: Path, key: str | None, value: object) -> Iterator[ChatMessage]:
        """The messages in one step."""
        if path[-2:] == ("messages", "*"):
            yield self._message(object_of(value))
        elif value is ENTER_OBJECT and (path == () or path[-2:] == ("list", "*")):
            self._id = self._name = None
        elif key == "name":
            self._name = name_of(value)
        elif key == "id":
            self._id = name_of(value)

    def _message(self, item: Mapping[str, Any]) -> ChatMessage:
        service = item.get("type") != "message"
        words = "" if service else _words(item.get("text"))
        kind, attachment = _media(item)
        return ChatMessage(
            sender_id=None if service else name_of(item.get("from_id")) or name_of(item.get("from")),
            sender=None if service else name_of(item.get("from")),
            text=words,
            time=iso_time(item.get("date")),
            kind="system" if service else kind,
            attachment=attachment,
            forwarded_from=name_of(item.get("forwarded_from")),
            id=name_of(item.get("id")),
            chat_id=self._id,
            chat=self._name,
        )


def _words(text: object) -> str:
    """A string, or a list of strings and entities (links, bold words, …), each with its own text."""
    if isinstance(text, list):
        text = "".join(
            part if isinstance(part, str) else str(part["text"])
            for part in text
            if isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("text"), str))
        )
    return text_of(text)


def _media(item: Mapping[str, Any]) -> tuple[Kind, str | None]:
    path = text_of(item.get("file") or item.get("photo"))
    # "(File not included. Change data exporting settings to download.)"
    file = file_of(item.get("file_name")) if path.startswith("(") else file_of(path)
    if kind := _KINDS.get(text_of(item.get("media_type"))):
        return kind, file
    if item.get("photo"):
        return "image", file
    if path:
        return media_kind(item.get("mime_type"), file), file
    return ("text" if item.get("text") else "other"), None
