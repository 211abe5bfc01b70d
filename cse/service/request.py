"""What a client asks for, out of the form that it sends."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Literal, get_args

from fastapi import Request

from cse.service.conversation import HISTORY_FORMATS
from cse.service.errors import ServiceError
from cse.service.form import base_name, choice_of, invalid, name_of, read_form
from cse.service.messages import Message
from cse.service.reading_tasks import audio_task, conversation_task

ResponseFormat = Literal["ogg", "wav", "json"]
AudioFormat = Literal["ogg", "wav"]
OnAbsent = Literal["error", "silence", "passthrough", "best"]


@dataclass(frozen=True, kw_only=True)
class ExtractionRequest:
    """One recording, its conversation and what is wanted.

    Attributes:
        file: The encoded recording.
        file_name: What it is called, by which it is found in a chat.
        history: The conversation as it was sent; None if there is none.
        history_format: How it was sent.
        at: The voice note in the conversation, by its file name, id or time.
        chat: Which chat of an export it is.
        enrollment: An encoded recording of the wanted voice; None if there is none.
        target: Who speaks next; None takes who sent the note, where the conversation says so.
        response_format: What comes back.
        audio_format: Of the voice inside JSON.
        candidate_audio: Whether JSON holds the voices of all talkers.
        on_absent: What to do if nobody continues the conversation.
    """

    file: bytes
    file_name: str | None
    history: bytes | None
    history_format: str
    at: str | None
    chat: str | None
    enrollment: bytes | None
    target: str | None
    response_format: ResponseFormat
    audio_format: AudioFormat
    candidate_audio: bool
    on_absent: OnAbsent

    @property
    def size_bytes(self) -> int:
        """Of what was sent."""
        return len(self.file) + len(self.history or b"") + len(self.enrollment or b"")

    @property
    def voice_format(self) -> AudioFormat:
        """In which the voices are encoded."""
        return self.audio_format if self.response_format == "json" else self.response_format

    def fingerprint(self) -> bytes:
        """The same for the same request, and for no other."""
        digest = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            data = value if isinstance(value, bytes) else repr(value).encode()
            digest.update(f"{field.name} {type(value).__name__} {len(data)}\n".encode())
            digest.update(data)
        return digest.digest()

    def conversation(self) -> Message | None:
        """The task of a reader, if there is a conversation."""
        if self.history is None:
            return None
        return conversation_task(
            self.history, self.history_format, at=self.at, audio=self.file_name, chat=self.chat
        )

    def audio(self) -> Message:
        """The other task of a reader."""
        return audio_task(self.file, self.enrollment)

    def extracting(self, conversation: Message | None, audio: Message) -> Message:
        """The task of an extractor, from what the readers found."""
        found = {"turns": None, "target": None} if conversation is None else conversation.header
        wishes = {
            "target": self.target or found["target"],
            "on_absent": self.on_absent,
            "audio_format": self.voice_format,
            "candidate_audio": self.candidate_audio and self.response_format == "json",
        }
        return Message({**found, **audio.header, **wishes}, audio.blobs)


async def read_request(request: Request) -> ExtractionRequest:
    """Receive and check the form of a request.

    Raises:
        ServiceError: `invalid_request`, `missing_cue`, `client_gone`, or what the limits of the body say.
    """
    return _from_fields(*await read_form(request, _FIELDS))


def conversation_of(form: dict[str, bytes]) -> tuple[bytes | None, str]:
    """The conversation as it was sent, None if it was not, and its format.

    Raises:
        ServiceError: It was sent twice, or in an unknown format.
    """
    if "messages" in form and "history" in form:
        raise invalid("messages", "history too", "only one of them")
    if "messages" in form:
        return form["messages"], "turns"
    return form.get("history"), choice_of(form, "history_format", HISTORY_FORMATS, "auto")


def _from_fields(form: dict[str, bytes], file_name: str) -> ExtractionRequest:
    if not form.get("file"):
        raise invalid("file", "nothing", "a recording")
    history, history_format = conversation_of(form)
    if history is None and not form.get("enrollment"):
        raise ServiceError(
            "missing_cue",
            "got neither messages, history nor enrollment, expected at least one of them: send the chat before the "
            "recording, or a sample of the wanted voice",
        )
    return ExtractionRequest(
        file=form["file"],
        file_name=base_name(file_name),
        history=history,
        history_format=history_format,
        enrollment=form.get("enrollment") or None,
        at=name_of(form, "at"),
        chat=name_of(form, "chat"),
        target=name_of(form, "target"),
        response_format=choice_of(form, "response_format", get_args(ResponseFormat), "json"),
        audio_format=choice_of(form, "audio_format", get_args(AudioFormat), "ogg"),
        candidate_audio=choice_of(form, "candidate_audio", ("false", "true"), "false") == "true",
        on_absent=choice_of(form, "on_absent", get_args(OnAbsent), "error"),
    )


_FIELDS = frozenset(
    {"file", "messages", "history", "history_format", "at", "chat", "enrollment", "target"}
    | {"response_format", "audio_format", "candidate_audio", "on_absent"}
)
