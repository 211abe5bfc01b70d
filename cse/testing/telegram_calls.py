"""What bots send to the fake Bot API, and what it knows of files and of calls that it is to refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import UploadFile


@dataclass(frozen=True)
class Sent:
    """A call of the Bot API that the bot made.

    Attributes:
        method: E.g. sendMessage.
        fields: Its parameters; those in JSON are decoded.
        files: The content of uploaded files.
        message_id: Of the message that it made.
        time_s: When, on a clock that only goes forward.
    """

    method: str
    fields: dict[str, Any]
    files: dict[str, bytes]
    message_id: int
    time_s: float

    @property
    def words(self) -> str:
        """The text or the caption."""
        return str(self.fields.get("text", self.fields.get("caption", "")))

    @property
    def voice(self) -> bytes | None:
        """The voice message or file, encoded."""
        return next(iter(self.files.values()), None)

    @property
    def reply_to(self) -> int | None:
        """The message to which it replies."""
        return self.fields.get("reply_parameters", {}).get("message_id")

    @property
    def button(self) -> str | None:
        """What its button sends."""
        rows = self.fields.get("reply_markup", {}).get("inline_keyboard", [])
        return rows[0][0]["callback_data"] if rows else None


@dataclass
class Stored:
    """A file that people sent.

    Attributes:
        content: Of it.
        breaks: How many downloads of it break off.
        slow_s: How long each takes.
        unsized: Whether its size is not known.
        fetched: How many were begun.
    """

    content: bytes
    breaks: int = 0
    slow_s: float = 0.0
    unsized: bool = False
    fetched: int = 0


@dataclass
class Refusal:
    """How calls of one method for one chat are refused: as often, with this error."""

    times: int
    code: int
    description: str
    parameters: dict[str, Any] = field(default_factory=dict)


async def sent(method: str, form: Mapping[str, Any], *, message_id: int, time_s: float) -> Sent:
    """A call from its form, in which everything but text and files is JSON.

    Args:
        method: Of the Bot API.
        form: What came.
        message_id: Of the message that it makes.
        time_s: When it came.
    """
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for name, value in form.items():
        if isinstance(value, UploadFile):
            files[name] = await value.read()
            continue
        fields[name] = value
        if name not in ("text", "caption"):
            with suppress(ValueError):
                fields[name] = json.loads(value)
    return Sent(method, fields, files, message_id, time_s)
