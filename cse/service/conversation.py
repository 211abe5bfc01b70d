"""The conversation of a request as turns: the one place where the service reads histories."""

from __future__ import annotations

from typing import Literal, get_args

from cse.chat import ChatExport, Context, build_context, open_chat_text
from cse.chat.inspection import Inspection, inspect_chat
from cse.errors import HistoryError

HistoryFormat = Literal[
    "auto", "text", "turns", "whatsapp", "telegram", "telegram-bot", "signal", "slack", "discord", "matrix"
]
HISTORY_FORMATS: tuple[str, ...] = get_args(HistoryFormat)


def read_conversation(
    data: bytes, history_format: str, *, at: str | None, audio: str | None, chat: str | None
) -> Context:
    """Read what was sent as `messages` (format turns) or `history`.

    Args:
        data: UTF-8 text, or the file of an export.
        history_format: One of `HISTORY_FORMATS`; auto tells it from the content.
        at: The voice note, by its file name, id or time.
        audio: The name of the recording, by which the note is found in the chat where `at` is None.
        chat: Name or id of the chat, where there are several.

    Raises:
        HistoryError: It cannot be read.

    >>> read_conversation(b'[{"speaker": "Ana", "text": "Hi"}]', "turns", at=None, audio=None, chat=None).turns
    [Turn(text='Hi', speaker='Ana', time=None)]
    """
    return build_context(_open(data, history_format).messages(), at=at, audio=audio, chat=chat)


def inspect_conversation(
    data: bytes, history_format: str, *, at: str | None, audio: str | None, chat: str | None
) -> Inspection:
    """Tell what is understood of a conversation, and what is left out; the arguments are those of `read_conversation`.

    Raises:
        HistoryError: It cannot be read.

    >>> inspect_conversation(b"Ana: Hi", "auto", at=None, audio=None, chat=None).format
    'text'
    """
    return inspect_chat(_open(data, history_format), at=at, audio=audio, chat=chat)


def _open(data: bytes, history_format: str) -> ChatExport:
    export = open_chat_text(data)
    if history_format not in ("auto", export.format):
        raise HistoryError(
            f"got what looks like {export.format}, expected {history_format}; leave history_format out, or send "
            "another history"
        )
    return export
