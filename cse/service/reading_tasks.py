"""What readers are asked to do, and what is said when one does not come to an end with it."""

from __future__ import annotations

from cse.service.errors import Failures
from cse.service.messages import Message

OF_AUDIO = Failures(
    too_slow="the work took longer than is allowed and was stopped; send a shorter recording",
    crash=("invalid_audio", "file: the decoder crashed on it; expected audio that is not damaged"),
)
OF_A_CONVERSATION = Failures(
    too_slow="history: took longer to read than is allowed and was stopped; send its last part only",
    crash=("invalid_history", "history: the parser crashed on it; send its last part only, or plain text"),
)


def audio_task(file: bytes, enrollment: bytes | None) -> Message:
    """Decode a recording, and the enrollment where there is one."""
    return Message({"do": "audio"}, (file,) if enrollment is None else (file, enrollment))


def conversation_task(
    data: bytes, history_format: str, *, at: str | None, audio: str | None, chat: str | None
) -> Message:
    """Read a conversation as turns; the arguments are those of `cse.service.conversation.read_conversation`."""
    return _conversation("turns", data, history_format, at, audio, chat)


def preview_task(
    data: bytes, history_format: str, *, at: str | None, audio: str | None, chat: str | None
) -> Message:
    """Tell how a conversation is understood; the arguments are those of `conversation_task`."""
    return _conversation("preview", data, history_format, at, audio, chat)


def _conversation(
    do: str, data: bytes, history_format: str, at: str | None, audio: str | None, chat: str | None
) -> Message:
    header = {"do": do, "history_format": history_format, "at": at, "audio": audio, "chat": chat}
    return Message(header, (data,))
