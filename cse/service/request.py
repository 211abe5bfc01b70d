"""What a client asks for: a multipart form, read into memory and never onto the disk."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from cse.service.conversation import HISTORY_FORMATS
from cse.service.errors import ServiceError
from cse.service.messages import Message

ResponseFormat = Literal["ogg", "wav", "json"]
AudioFormat = Literal["ogg", "wav"]
OnAbsent = Literal["error", "silence", "passthrough", "best"]

_MAX_PARTS = 20
_MAX_NAME_CHARACTERS = 200


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

    def fingerprint(self) -> bytes:
        """The same for the same request, and for no other."""
        digest = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            data = value if isinstance(value, bytes) else repr(value).encode()
            digest.update(f"{field.name} {type(value).__name__} {len(data)}\n".encode())
            digest.update(data)
        return digest.digest()

    def reading(self) -> Message:
        """The task of a reader."""
        header = {
            "history_format": self.history_format,
            "at": self.at,
            "chat": self.chat,
            "file_name": self.file_name,
            "has_history": self.history is not None,
            "has_enrollment": self.enrollment is not None,
        }
        blobs = (self.file, self.history, self.enrollment)
        return Message(header, tuple(blob for blob in blobs if blob is not None))

    def extracting(self, read: Message) -> Message:
        """The task of an extractor, from what the reader found."""
        wishes = {
            "target": self.target or read.header["target"],
            "on_absent": self.on_absent,
            "audio_format": self.audio_format if self.response_format == "json" else self.response_format,
            "candidate_audio": self.candidate_audio and self.response_format == "json",
        }
        return Message({**read.header, **wishes}, read.blobs)


class _InMemory(MultiPartParser):
    """Starlette's parser, which would write files of more than 1 MB to the disk."""

    spool_max_size = sys.maxsize


async def read_request(request: Request) -> ExtractionRequest:
    """Receive and check the form of a request.

    Raises:
        ServiceError: `invalid_request`, `missing_cue`, `client_gone`, or what the limits of the body say.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise _invalid(
            "body", "a form of another type", "multipart/form-data with the recording in the field file"
        )
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=_MAX_PARTS,
        max_fields=_MAX_PARTS,
        max_part_size=sys.maxsize,  # what counts is the whole body
    )
    try:
        form = await parser.parse()
    except ClientDisconnect:
        raise ServiceError("client_gone", "the client went away while it was sending") from None
    except MultiPartException:
        raise _invalid(
            "body", "a form that is damaged or has too many fields", "multipart/form-data"
        ) from None
    try:
        recording = form.get("file")
        file_name = recording.filename if isinstance(recording, UploadFile) else None
        return _from_fields({name: await _content(form, name) for name in form}, file_name or "")
    finally:
        await form.close()


async def _content(form: FormData, name: str) -> bytes:
    values = form.getlist(name)
    if len(values) > 1:
        raise _invalid(name, f"{len(values)} of them", "one")
    value = values[0]
    # a lone half of a character cannot come out of a form
    return await value.read() if isinstance(value, UploadFile) else value.encode()


def _from_fields(form: dict[str, bytes], file_name: str) -> ExtractionRequest:
    unknown = form.keys() - _FIELDS
    if unknown:
        raise _invalid("body", f"{len(unknown)} unknown fields", f"some of {', '.join(sorted(_FIELDS))}")
    if not form.get("file"):
        raise _invalid("file", "nothing", "a recording")
    if "messages" in form and "history" in form:
        raise _invalid("messages", "history too", "only one of them")
    history = form.get("messages", form.get("history"))
    if history is None and not form.get("enrollment"):
        raise ServiceError(
            "missing_cue",
            "got neither messages, history nor enrollment, expected at least one of them: send the chat before the "
            "recording, or a sample of the wanted voice",
        )
    return ExtractionRequest(
        file=form["file"],
        file_name=file_name.replace("\\", "/").rpartition("/")[2][:_MAX_NAME_CHARACTERS] or None,
        history=history,
        history_format="turns"
        if "messages" in form
        else _choice(form, "history_format", HISTORY_FORMATS, "auto"),
        enrollment=form.get("enrollment") or None,
        at=_name(form, "at"),
        chat=_name(form, "chat"),
        target=_name(form, "target"),
        response_format=_choice(form, "response_format", get_args(ResponseFormat), "json"),
        audio_format=_choice(form, "audio_format", get_args(AudioFormat), "ogg"),
        candidate_audio=_choice(form, "candidate_audio", ("false", "true"), "false") == "true",
        on_absent=_choice(form, "on_absent", get_args(OnAbsent), "error"),
    )


_FIELDS = frozenset(
    {"file", "messages", "history", "history_format", "at", "chat", "enrollment", "target"}
    | {"response_format", "audio_format", "candidate_audio", "on_absent"}
)


def _choice(form: dict[str, bytes], name: str, choices: tuple[str, ...], default: str) -> Any:
    value = form.get(name, default.encode()).decode("utf-8", "replace")
    if value not in choices:
        raise _invalid(name, "another value", f"one of {', '.join(choices)}")
    return value


def _name(form: dict[str, bytes], field: str) -> str | None:
    name = " ".join(form.get(field, b"").decode("utf-8", "replace").split())
    if len(name) > _MAX_NAME_CHARACTERS:
        raise _invalid(field, f"{len(name)} characters", f"at most {_MAX_NAME_CHARACTERS}")
    return name or None


def _invalid(field: str, got: str, expected: str) -> ServiceError:
    return ServiceError("invalid_request", f"{field}: got {got}, expected {expected}")
