"""What a client wants to know of a conversation before it sends any recording: how it is understood."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from cse.service.form import base_name, invalid, name_of, read_form
from cse.service.messages import Message
from cse.service.reading_tasks import preview_task
from cse.service.request import conversation_of


@dataclass(frozen=True, kw_only=True)
class PreviewRequest:
    """One conversation.

    Attributes:
        history: As it was sent.
        history_format: How it was sent.
        at: The voice note in it, by its file name, id or time.
        chat: Which chat of an export it is.
        file_name: What the recording is called, by which the note is found where `at` is None.
    """

    history: bytes
    history_format: str
    at: str | None
    chat: str | None
    file_name: str | None

    def reading(self) -> Message:
        """The task of a reader."""
        return preview_task(
            self.history, self.history_format, at=self.at, audio=self.file_name, chat=self.chat
        )


async def read_preview(request: Request) -> PreviewRequest:
    """Receive and check the form of a request.

    Raises:
        ServiceError: `invalid_request`, `client_gone`, or what the limits of the body say.
    """
    form, _ = await read_form(request, _FIELDS)
    history, history_format = conversation_of(form)
    if history is None:
        raise invalid("history", "nothing", "a conversation, there or as messages")
    return PreviewRequest(
        history=history,
        history_format=history_format,
        at=name_of(form, "at"),
        chat=name_of(form, "chat"),
        file_name=base_name(name_of(form, "file_name") or ""),
    )


_FIELDS = frozenset({"messages", "history", "history_format", "at", "chat", "file_name"})
