"""Telegram's messages as the bot understands them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cse.bots.messenger import Note
from cse.chat import ChatMessage
from cse.chat.fields import name_of, object_of, text_of
from cse.chat.json_stream import ITEM
from cse.chat.telegram_bot import TelegramBot

_ALWAYS = ("voice",)
_WHEN_ASKED = ("voice", "audio", "video_note", "document")


def chat_message(fields: Mapping[str, Any], *, edited: bool = False) -> ChatMessage | None:
    """A message of the Bot API, with who wrote forwarded words as their sender: the forwarder did not say them.

    Args:
        fields: The message.
        edited: Whether it corrects an earlier one.

    >>> ana = {"type": "user", "sender_user": {"id": 5, "first_name": "Ana"}}
    >>> found = chat_message(
    ...     {"message_id": 2, "chat": {"id": 7}, "from": {"id": 6}, "text": "Hi", "forward_origin": ana})
    >>> found.sender, found.sender_id, found.chat_id
    ('Ana', '5', '7')
    """
    update = {"update_id": 0, "edited_message" if edited else "message": dict(fields)}
    message = next(TelegramBot().read(ITEM, None, update), None)
    if message is None or message.forwarded_from is None:
        return message
    origin = object_of(fields.get("forward_origin"))
    author = (
        object_of(origin.get("sender_user"))
        or object_of(origin.get("sender_chat"))
        or object_of(origin.get("chat"))
    )
    return replace(
        message, sender=message.forwarded_from, sender_id=name_of(author.get("id")) or message.forwarded_from
    )


def note_in(fields: Mapping[str, Any], *, asked: bool) -> Note | None:
    """The recording in a message, if there is one.

    Args:
        fields: The message.
        asked: Whether somebody asked for this one, so that it may be music, a film or a file too.
    """
    for field in _WHEN_ASKED if asked else _ALWAYS:
        file = object_of(fields.get(field))
        identifier = name_of(file.get("file_id"))
        if identifier is None or (
            field == "document" and not text_of(file.get("mime_type")).startswith("audio/")
        ):
            continue
        message = chat_message(fields)
        if message is not None:
            return Note(message, identifier, _number(file.get("file_size")), _number(file.get("duration")))
    return None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
