"""A history of turns out of whatever people have: plain text, JSON, a chat export, or what Python callers pass."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from cse.chat.context import Context, build_context
from cse.chat.message import ChatMessage
from cse.chat.sniffing import ChatExport, open_chat, open_chat_text
from cse.errors import HistoryError
from cse.history import Turn, check_history

History = Iterable[Turn | Mapping[str, Any] | str | ChatMessage] | str | bytes | os.PathLike[str]


def read_context(
    source: str | os.PathLike[str],
    *,
    at: str | None = None,
    audio: str | None = None,
    chat: str | None = None,
) -> Context:
    """Read the turns before a voice note from a file, or from standard input where `source` is `-`.

    Args:
        source: Plain text, JSON or a chat export; what it is is told by its content.
        at: The note, by file name, id or time; None: the last one that is called like `audio`, else the end of the
            chat.
        audio: The name of the recording.
        chat: Name or id of the chat, where the export has several.

    Raises:
        HistoryError: The file cannot be used, or the note or the chat is not in it.
    """
    return context_of(open_chat(source), at=at, audio=audio, chat=chat)


def context_of(
    export: ChatExport, *, at: str | None = None, audio: str | None = None, chat: str | None = None
) -> Context:
    """Read the turns before a voice note from a chat that is open; see `read_context`."""
    try:
        return build_context(export.messages(), at=at, audio=audio, chat=chat)
    except HistoryError as error:
        named = export.name is not None and str(error).startswith(export.name)
        raise error if named else HistoryError(f"{export.name}: {error}") from None


def read_history(source: str | os.PathLike[str]) -> list[Turn]:
    """Read the turns of a conversation (the last thousand) from a file or standard input (`-`); see `read_context`."""
    return read_context(source).turns


def parse_history(text: str | bytes) -> list[Turn]:
    """Read a conversation (its last thousand turns) from a text, or from the bytes of a file.

    JSON is a list of `{"speaker", "text"}` (`time` optional), of OpenAI-style `{"role", "content"}` or of strings,
    or an object with such a list under `messages` or `history`, or a chat export. Turns without words and roles that
    nobody speaks (`system`, `developer`, `tool`) are left out.

    Args:
        text: Text, or its bytes in UTF-8 (UTF-16 where it starts with a byte order mark).

    Returns:
        The turns, oldest first; an empty list if there is nothing in the text.

    Raises:
        HistoryError: Not text, broken JSON, JSON of another form, more than 50 MB.

    Example:
        >>> parse_history("Ana: Where shall we meet?\\nBen: At 12:30.")
        [Turn(text='Where shall we meet?', speaker='Ana', time=None),
         Turn(text='At 12:30.', speaker='Ben', time=None)]
    """
    return build_context(open_chat_text(text).messages()).turns


def turns_of(history: History | None, *, audio: str | None = None) -> list[Turn]:
    """Bring what Python callers pass as a history into one form: a list of turns with words, oldest first.

    Args:
        history: Turns, mappings or strings as `check_history` takes them; messages of a chat; the text of a
            conversation (a string is never taken for the name of a file); or a `Path` of a file with it.
        audio: The name of the recording, to find it in the chat.

    Raises:
        HistoryError: It is something else, or cannot be used.

    Example:
        >>> turns_of("Ana: Hi")
        [Turn(text='Hi', speaker='Ana', time=None)]
        >>> turns_of([ChatMessage("1", "Ana", "Hi"), ChatMessage(None, None, "Ana left", kind="system")])
        [Turn(text='Hi', speaker='Ana', time=None)]
    """
    if isinstance(history, str | bytes):
        return build_context(open_chat_text(history).messages(), audio=audio).turns
    if isinstance(history, os.PathLike):
        return read_context(history, audio=audio).turns
    if isinstance(history, Iterable) and not isinstance(history, Mapping):
        items = iter(history)
        first = list(_first(items))
        everything = chain(first, items)
        if first and isinstance(first[0], ChatMessage):
            return build_context(_only_messages(everything), audio=audio).turns
        return check_history(everything)
    return check_history(history)


def _first(items: Iterable[Any]) -> Iterable[Any]:
    for item in items:
        yield item
        return


def _only_messages(items: Iterable[Any]) -> Iterable[ChatMessage]:
    for number, item in enumerate(items, start=1):
        if not isinstance(item, ChatMessage):
            raise HistoryError(
                f"turn {number}: got {type(item).__name__}, expected a ChatMessage like the first one"
            )
        yield item
