"""What a client and the service say to each other on a stream, beside samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

from cse.downmix import MAX_RATE_HZ, MIN_RATE_HZ
from cse.service.conversation import HISTORY_FORMATS
from cse.service.errors import ServiceError
from cse.service.form import invalid
from cse.service.messages import Message
from cse.service.reading_tasks import conversation_task
from cse.streaming.switch import BeforeChoice

DESCRIPTION = """\
`/v1/audio/stream` is a WebSocket (`cse serve --max-streams N`): sound goes in as it comes, the voice comes out a little
later.

1. The client sends a JSON object as text: `messages` or `history` (and `history_format`), `target`, `sample_rate` in
   Hz, `format` (`pcm_s16le`), `before_choice` (`silence` or `mixture`: what comes out until it is sure whose voice is
   meant).
2. The service answers
   `{"type": "ready", "latency_s": …, "context_turns": …, "model": …, "sample_rate": …, "format": "pcm_s16le"}`.
3. The client sends samples as binary messages of any length up to 1 MB; the service sends as many back, and once
   `{"type": "choice", "index": …, "probability": …, "transcript": …, "time_s": …}`. Each side waits for the slower one.
4. The client sends `{"type": "end"}`; the service sends the rest, `{"type": "end", "duration_s": …, "choice": …}`, and
   closes (1000).

What is refused at the handshake is answered by HTTP (401, 403, 404, 503). Later errors come as
`{"type": "error", "error": {"code": …, "message": …, "request_id": …}}`, and the close code is 4000 and the HTTP status
of the error.
"""

_MAX_NAME_CHARACTERS = 200
_FORMATS = ("pcm_s16le",)
_FIELDS = frozenset(
    {"messages", "history", "history_format", "target", "sample_rate", "format", "before_choice"}
)


@dataclass(frozen=True, kw_only=True)
class StreamRequest:
    """The first frame of a stream.

    Attributes:
        history: The conversation as it was sent, or its messages as JSON.
        history_format: How it was sent.
        target: Who speaks; None takes who the conversation says.
        sample_rate: In Hz, in and out.
        before_choice: What comes out until the choice is sure.
    """

    history: bytes
    history_format: str
    target: str | None
    sample_rate: int
    before_choice: str

    def conversation(self) -> Message:
        """The task of a reader."""
        return conversation_task(self.history, self.history_format, at=None, audio=None, chat=None)

    def opening(self, read: Message) -> Message:
        """The task of the worker, from what the reader found."""
        header = {
            "turns": read.header["turns"],
            "target": self.target or read.header["target"],
            "sample_rate": self.sample_rate,
            "before_choice": self.before_choice,
        }
        return Message(header)


def read_first_frame(text: str) -> StreamRequest:
    """Check the first frame of a stream.

    Raises:
        ServiceError: `invalid_request` or `missing_cue`; it quotes nothing of what was sent.

    >>> read_first_frame('{"history": "Ana: Hi", "sample_rate": 16000}').before_choice
    'silence'
    """
    frame = _object(text)
    if unknown := frame.keys() - _FIELDS:
        raise invalid("frame", f"{len(unknown)} unknown fields", f"some of {', '.join(sorted(_FIELDS))}")
    if "messages" in frame and "history" in frame:
        raise invalid("messages", "history too", "only one of them")
    if frame.get("messages") is None and frame.get("history") is None:
        raise ServiceError(
            "missing_cue",
            "got neither messages nor history, expected one of them: send the chat before the stream",
        )
    _one_of(frame, "format", _FORMATS)
    rate = frame.get("sample_rate")
    if isinstance(rate, bool) or not isinstance(rate, int) or not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise invalid(
            "sample_rate", "another value", f"a whole number of Hz from {MIN_RATE_HZ} to {MAX_RATE_HZ}"
        )
    history = frame.get("history")
    if history is None:
        history, format_ = json.dumps(frame["messages"]), "turns"
    elif isinstance(history, str):
        format_ = _one_of(frame, "history_format", HISTORY_FORMATS)
    else:
        raise invalid("history", "another type", "text")
    return StreamRequest(
        history=history.encode("utf-8", "replace"),
        history_format=format_,
        target=_name(frame.get("target")),
        sample_rate=rate,
        before_choice=_one_of(frame, "before_choice", get_args(BeforeChoice)),
    )


def check_end_frame(text: str) -> None:
    """Check that a text frame behind the first says that the stream ends.

    Raises:
        ServiceError: `invalid_request`.
    """
    if _object(text) != {"type": "end"}:
        raise invalid("frame", "another text frame", 'samples, or {"type": "end"}')


def _object(text: str) -> dict[str, Any]:
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        frame = None
    if not isinstance(frame, dict):
        raise invalid("frame", "a frame of another form", "a JSON object as text")
    return frame


def _one_of(frame: dict[str, Any], name: str, choices: tuple[str, ...]) -> str:
    """The value of a field, which is the first choice where it is left out."""
    value = frame.get(name, choices[0])
    if not isinstance(value, str) or value not in choices:
        raise invalid(name, "another value", f"one of {', '.join(choices)}")
    return value


def _name(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _MAX_NAME_CHARACTERS:
        raise invalid("target", "another value", f"a name of at most {_MAX_NAME_CHARACTERS} characters")
    return value.strip() or None
