"""Slack: the days of a workspace export, `conversations.history`, and the export's ZIP as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cse.chat.fields import file_of, media_kind, name_of, object_of, objects_of, text_of, utc_time
from cse.chat.json_stream import ITEM, Path
from cse.chat.message import ChatMessage, Kind
from cse.chat.pages import Pages

# what people write; every other subtype is a notice (joins, topics, pins, reminders, …)
_WRITTEN = frozenset({"file_share", "file_comment", "thread_broadcast", "me_message", "bot_message"})
_MARKUP = re.compile(
    r"<([@#!])([^<>|\s]{1,100})(?:\|([^<>]{0,200}))?>|<([^<>|\s]{1,2000})(?:\|([^<>]{0,500}))?>"
)


class Slack:
    """Reads the steps through the messages of one channel.

    Args:
        users: Names by user id, as the export's `users.json` has them.
        chat: The channel's name.
    """

    name = "slack"
    containers: frozenset[Path] = frozenset({(), ("messages",)})
    pages = Pages(((), ("messages",)), "ts")

    def __init__(self, *, users: Mapping[str, str] | None = None, chat: str | None = None) -> None:
        self._users = users or {}
        self._chat = chat

    @staticmethod
    def claims(path: Path, item: object) -> bool:
        """Whether an item is a message of this format."""
        fields = object_of(item)
        return (
            path in (ITEM, ("messages", "*"))
            and fields.get("type") == "message"
            and isinstance(fields.get("ts"), str)
        )

    def read(self, path: Path, key: str | None, value: object) -> Iterator[ChatMessage]:
        """The messages in one step."""
        item = object_of(value)
        if path[-1:] != ITEM or item.get("type") != "message":
            return
        kind: Kind = "text"
        replaces = None
        subtype = item.get("subtype")
        if subtype == "message_changed":
            item = object_of(item.get("message"))
            replaces = name_of(item.get("ts"))
        elif subtype in ("message_deleted", "tombstone"):
            kind, replaces = "deleted", name_of(item.get("deleted_ts"))
        elif subtype is not None and subtype not in _WRITTEN:
            kind = "system"
        yield self._message(item, kind, replaces)

    def _message(self, item: Mapping[str, Any], kind: Kind, replaces: str | None) -> ChatMessage:
        text = self._words(text_of(item.get("text")))
        attachment = None
        for file in objects_of(item.get("files")):
            if file.get("mode") != "tombstone":
                attachment = file_of(file.get("name")) or name_of(file.get("id"))
                kind = _file_kind(file, attachment) if kind == "text" else kind
                break
        shared = next((share for share in objects_of(item.get("attachments")) if share.get("is_share")), None)
        if shared is not None:
            text = text or self._words(text_of(shared.get("text")))
        if kind == "text" and not text:
            kind = "other"
        return ChatMessage(
            sender_id=name_of(item.get("user")) or name_of(item.get("bot_id")),
            sender=self._sender(item),
            text=text,
            time=utc_time(item.get("ts")),
            kind=kind,
            attachment=attachment,
            forwarded_from=None if shared is None else name_of(shared.get("author_name")),
            id=name_of(item.get("ts")),
            chat_id=self._chat or name_of(item.get("channel")),
            chat=self._chat,
            replaces=replaces,
        )

    def _sender(self, item: Mapping[str, Any]) -> str | None:
        user = name_of(item.get("user"))
        return (
            self._users.get(user or "")
            or profile_name(object_of(item.get("user_profile")))
            or name_of(item.get("username"))
            or name_of(object_of(item.get("bot_profile")).get("name"))
            or user
        )

    def _words(self, text: str) -> str:
        """Text without markup: names for ids, the words of links, real angle brackets."""
        text = _MARKUP.sub(self._readable, text) if "<" in text else text
        # the three characters that Slack escapes, and no other entity, which somebody wrote
        return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")

    def _readable(self, match: re.Match[str]) -> str:
        mark, target, label, address, words = match.groups()
        if mark is None:
            return words or address.removeprefix("mailto:")
        if mark == "@":
            return f"@{label or self._users.get(target, target)}"
        return f"{'#' if mark == '#' else '@'}{label or target.partition('^')[0]}"


def profile_name(profile: Mapping[str, Any]) -> str | None:
    """The name that Slack shows: the one a person chose, else the real one."""
    return (
        name_of(profile.get("display_name"))
        or name_of(profile.get("real_name"))
        or name_of(profile.get("name"))
    )


def _file_kind(file: Mapping[str, Any], name: str | None) -> Kind:
    if file.get("subtype") == "slack_audio":  # a clip; its media type may be video/mp4
        return "voice"
    return media_kind(file.get("mimetype"), name)
