"""What bots send to the fake Bot API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
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
    def duration_s(self) -> float | None:
        """Of the voice message, as announced."""
        return self.fields.get("duration")

    @property
    def button(self) -> str | None:
        """What its button sends."""
        rows = self.fields.get("reply_markup", {}).get("inline_keyboard", [])
        return rows[0][0]["callback_data"] if rows else None


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
