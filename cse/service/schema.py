"""The forms of requests and answers, as OpenAPI shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cse.service.conversation import HISTORY_FORMATS
from cse.service.errors import STATUS

_MESSAGES = (
    '[{"speaker": "Ana", "text": "Where shall we meet?"}, {"speaker": "Ben", "text": "At the station?"}]'
)
_FOUND: dict[str, Any] = {
    "probability": 0.93,
    "abstained": False,
    "target_present": True,
    "talkers": 2,
    "candidates": [
        {"probability": 0.93, "transcript": "the station is fine at noon"},
        {"probability": 0.04, "transcript": "two coffees please"},
    ],
    "context_turns": 2,
    "turn_attribution": None,
    "duration_s": 6.21,
    "sample_rate": 48000,
    "real_time_factor": 0.31,
    "model": "separator-2spk-16k",
    "warnings": [],
    "audio": {"format": "ogg", "data": "T2dnUw…"},
}
_UNDERSTOOD: dict[str, Any] = {
    "format": "whatsapp",
    "chats": [
        {
            "id": None,
            "name": None,
            "messages": 3,
            "first": "2024-03-01T14:05:33",
            "last": "2024-03-01T14:06:01",
            "people": {"Ana": 2, "Ben": 1},
            "kinds": {"text": 2, "voice": 1},
            "voice_notes": [
                {"id": "3", "time": "2024-03-01T14:06:01", "sender": "Ana", "attachment": "note.opus"}
            ],
        }
    ],
    "more_chats": 0,
    "context": {
        "turns": [
            {"speaker": "Ana", "text": "Where shall we meet?", "time": "2024-03-01T14:05:33"},
            {"speaker": "Ben", "text": "At the station?", "time": "2024-03-01T14:05:58"},
        ],
        "note": {"id": "3", "time": "2024-03-01T14:06:01", "sender": "Ana", "attachment": "note.opus"},
        "target": "Ana",
        "dropped": {},
    },
}


class Audio(BaseModel):
    """An encoded voice."""

    format: Literal["ogg", "wav"]
    data: str = Field(description="Base64")


class CandidateResult(BaseModel):
    """One talker of the recording."""

    probability: float
    transcript: str | None
    audio: Audio | None = Field(None, description="With candidate_audio=true")


class ExtractionResult(BaseModel):
    """The extracted voice and everything that led to it."""

    model_config = ConfigDict(json_schema_extra={"example": _FOUND})

    probability: float = Field(description="That this is the voice that continues the history, 0 to 1")
    abstained: bool = Field(description="True if the probability is too low to rely on the choice")
    target_present: bool = Field(description="False if it is likelier that nobody continues the history")
    talkers: int
    candidates: list[CandidateResult]
    context_turns: int
    turn_attribution: list[float] | None
    duration_s: float
    sample_rate: int
    real_time_factor: float
    model: str
    warnings: list[str]
    audio: Audio


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(json_schema_extra={"enum": list(STATUS)})
    message: str = Field(description="One line: got, expected, remedy")
    request_id: str


class ErrorBody(BaseModel):
    """The one form of an error."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "error": {
                    "code": "invalid_audio",
                    "message": "file: is empty (0 bytes), expected audio",
                    "request_id": "3f1c9a4be2d07a55",
                }
            }
        }
    )

    error: ErrorDetail


class VoiceNote(BaseModel):
    """A voice note in a chat; `id`, `attachment` or `time` name it as `at`."""

    id: str | None
    time: str | None
    sender: str | None
    attachment: str | None


class ChatBody(BaseModel):
    """One chat of an export."""

    id: str | None
    name: str | None
    messages: int = Field(description="Everything counted")
    first: str | None = Field(description="Time of the first message")
    last: str | None
    people: dict[str, int] = Field(description="How many messages each wrote")
    kinds: dict[str, int]
    voice_notes: list[VoiceNote] = Field(description="The last ones")


class TurnBody(BaseModel):
    """A message as it is understood; what `messages` of an extraction takes."""

    speaker: str | None
    text: str
    time: str | None


class ContextBody(BaseModel):
    """What a voice note continues."""

    turns: list[TurnBody] = Field(description="Oldest first, the last thousand")
    note: VoiceNote | None = Field(description="The voice note, where the chat has it")
    target: str | None = Field(description="Who sent it")
    dropped: dict[str, int] = Field(description="How many messages were left out, by reason")


class PreviewResult(BaseModel):
    """How a conversation is understood."""

    model_config = ConfigDict(json_schema_extra={"example": _UNDERSTOOD})

    format: str
    chats: list[ChatBody]
    more_chats: int = Field(description="After the first thousand")
    context: ContextBody | None = Field(description="Null where there are several chats and none was named")


class JobBody(BaseModel):
    """A job; times are seconds since 1970."""

    id: str
    status: Literal["queued", "running", "succeeded", "failed"]
    created: float
    expires: float | None = Field(description="When the result of a finished job is forgotten")
    result: ExtractionResult | None = None
    error: ErrorDetail | None = None


class ModelBody(BaseModel):
    """A model that the service has loaded."""

    id: str
    object: Literal["model"] = "model"
    talkers: int = Field(description="How many voices in a recording it was made for")
    sample_rate: int = Field(description="In Hz, of its estimates; recordings may have any")
    on_device: str | None = Field(
        None, description="Where a model for browsers is described, where the service has one"
    )


class ModelsBody(BaseModel):
    """All of them: one."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_CONVERSATION = {
    "messages": _text(
        'JSON: a list of {"speaker", "text"} or OpenAI-style {"role", "content"}, oldest first',
        examples=[_MESSAGES],
    ),
    "history": _text(
        "Instead of messages: the conversation as text, one turn a line; or a chat export, as the file the app "
        "wrote. What follows the voice note in it is not looked at.",
        examples=["Ana: Where shall we meet?\nBen: At the station?"],
    ),
    "history_format": _text("Of history", enum=list(HISTORY_FORMATS), default="auto"),
    "at": _text(
        "The voice note in the export, by its file name, id or time (else the one called like file, else the end)"
    ),
    "chat": _text("Name or id of the chat, where the export has several"),
}
_FORM = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": _text("The recording: OGG/Opus, WAV, FLAC, MP3, m4a, AAC, AMR, webm, CAF", format="binary"),
        **_CONVERSATION,
        "target": _text(
            "Who is speaking, as named in the conversation (default: who sent the note, where the export says so)",
            examples=["Ana"],
        ),
        "enrollment": _text("A recording of the wanted voice alone", format="binary"),
        "response_format": _text("What comes back", enum=["json", "ogg", "wav"], default="json"),
        "audio_format": _text("Of the voices inside JSON", enum=["ogg", "wav"], default="ogg"),
        "candidate_audio": _text(
            "Whether JSON holds the voices of all talkers", enum=["false", "true"], default="false"
        ),
        "on_absent": _text(
            "If nobody continues the conversation: an error, silence, the recording itself, or the best guess",
            enum=["error", "silence", "passthrough", "best"],
            default="error",
        ),
    },
}

EXTRACTION_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": _FORM,
                "examples": {
                    "chat": {
                        "summary": "A voice note and the chat before it",
                        "value": {
                            "file": "(note.ogg)",
                            "messages": _MESSAGES,
                            "target": "Ana",
                            "response_format": "json",
                        },
                    },
                    "voice": {
                        "summary": "A voice note and a sample of the wanted voice",
                        "value": {"file": "(note.ogg)", "enrollment": "(ana.wav)", "response_format": "ogg"},
                    },
                },
            }
        },
    }
}


PREVIEW_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        **_CONVERSATION,
                        "file_name": _text("What the recording is called, by which the note is found"),
                    },
                },
                "examples": {
                    "chat": {
                        "summary": "A chat as text",
                        "value": {"history": "Ana: Where shall we meet?\nBen: At the station?"},
                    }
                },
            }
        },
    }
}


def errors(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for OpenAPI.

    >>> sorted(errors("not_found", "busy"))
    [404, 503]
    """
    by_status: dict[int | str, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code)
    return {
        status: {"model": ErrorBody, "description": ", ".join(names)} for status, names in by_status.items()
    }
