"""From messages to the turns that came before a voice note: no note, nothing after it, nothing that nobody said."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from cse.chat.message import RECORDED, ChatMessage
from cse.errors import HistoryError
from cse.history import Turn, check_history

MAX_TURNS: Final = 1000  # models look at fewer
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?P<second>:\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?$")


@dataclass(frozen=True)
class Context:
    """What a voice note continues.

    Attributes:
        turns: Oldest first.
        note: The voice note, where the chat has it.
        target: Who sent it, by the name in the turns.
        dropped: How many messages were left out, by reason.
    """

    turns: list[Turn]
    note: ChatMessage | None = None
    target: str | None = None
    dropped: dict[str, int] = field(default_factory=dict)


def build_context(
    messages: Iterable[ChatMessage],
    *,
    at: ChatMessage | datetime | str | None = None,
    audio: str | None = None,
    chat: str | None = None,
    max_turns: int = MAX_TURNS,
) -> Context:
    """Collect the turns before a voice note.

    Left out are the note, what follows it, what the app wrote, messages without words, and messages that were taken
    back; corrected ones are taken as corrected. People of the same name are told apart by a number.

    Args:
        messages: Of a chat, oldest first; of several if `chat` says which.
        at: The note: itself, its file name, its id, or the time at which it was sent. A time without an offset is
            one as the chat has it. None: the last one whose file is called like `audio`, else the end of the chat.
        audio: The name of the recording.
        chat: Name or id of the chat.
        max_turns: How many of the last turns to keep.

    Raises:
        HistoryError: The note or the chat is not there, or there are several chats and `chat` is None.

    >>> note = ChatMessage("1", "Ana", "", kind="voice", attachment="note.ogg")
    >>> chat = [ChatMessage("2", "Ben", "Where?"), note, ChatMessage("2", "Ben", "Ah, there!")]
    >>> build_context(chat, at="note.ogg").turns
    [Turn(text='Where?', speaker='Ben', time=None)]
    """
    builder = ContextBuilder(at=at, audio=audio, chat=chat, max_turns=max_turns)
    for message in messages:
        builder.add(message)
        if builder.done:
            break
    return builder.finish()


class ContextBuilder:
    """Takes messages one by one and remembers no more than a context needs; see `build_context`."""

    def __init__(
        self,
        *,
        at: ChatMessage | datetime | str | None = None,
        audio: str | None = None,
        chat: str | None = None,
        max_turns: int = MAX_TURNS,
    ) -> None:
        if max_turns < 0:
            raise ValueError(f"got max_turns={max_turns}, expected 0 or more")
        self._place = _Place(at, audio)
        self._chat = chat
        self._chats: set[str | None] = set()
        self._window: deque[ChatMessage] = deque(maxlen=max_turns)
        self._dropped: Counter[str] = Counter()
        self._found: tuple[ChatMessage | None, list[ChatMessage], Counter[str]] | None = None
        self._after = 0
        self.done = False

    @property
    def several_chats(self) -> bool:
        """Whether messages of more than one chat came, so that there is no context."""
        return len(self._chats) > 1

    def add(self, message: ChatMessage) -> None:
        """Take the next message."""
        if self._chat is not None and self._chat not in (message.chat_id, message.chat):
            self._dropped["other chat"] += 1
            return
        if len(self._chats) < 2:
            self._chats.add(message.chat_id)
        self._after += 1
        if self.done or self.several_chats:
            self.done = True
            return
        match = self._place.match(message)
        if match is not None:
            note = message if match != "past" else None
            self._found = (note, list(self._window), self._dropped.copy())
            self._after = 1 if note is None else 0
            if match != "name":  # a later file may have the same name
                self.done = True
                return
        self._take(message)

    def finish(self) -> Context:
        """The context.

        Raises:
            HistoryError: See `build_context`.
        """
        if self.several_chats:
            if self._chat is not None:
                raise HistoryError("got several chats of that name, expected one: give the chat's id instead")
            raise HistoryError(
                "got several chats, expected one: name it with --chat; cse chat inspect lists them"
            )
        if self._chat is not None and not self._chats:
            raise HistoryError("got no chat of that name or id; cse chat inspect lists them")
        note, window, dropped = self._found or (None, list(self._window), self._dropped)
        if self._found is None and self._place.required:
            raise HistoryError(
                "got no message with that file name, id or time, expected one in the chat; cse chat inspect lists the "
                "voice notes"
            )
        if self._found is not None and self._after:
            dropped["after the note"] = self._after
        names = _names([*window, *([note] if note is not None else [])])
        turns = [Turn(message.text, names.get(_person(message)), message.time) for message in window]
        return Context(
            check_history(turns), note, None if note is None else names.get(_person(note)), dict(dropped)
        )

    def _take(self, message: ChatMessage) -> None:
        if message.replaces is not None:
            for index in range(len(self._window) - 1, -1, -1):
                old = self._window[index]
                if old.id == message.replaces:
                    self._dropped["corrected" if message.spoken else "deleted"] += 1
                    if message.spoken:
                        self._window[index] = replace(old, text=message.text)
                    else:
                        del self._window[index]
                    return
        if not message.spoken:
            self._dropped[message.kind] += 1
        elif message.replaces is not None:
            self._dropped["corrected"] += 1  # what it corrects is too long ago, or was not in the chat
        else:
            if len(self._window) == self._window.maxlen:
                self._dropped["too long ago"] += 1
            self._window.append(message)


class _Place:
    """Where the voice note stands."""

    def __init__(self, at: ChatMessage | datetime | str | None, audio: str | None) -> None:
        self.required = at is not None
        self._message = at if isinstance(at, ChatMessage) else None
        self._name: str | None = None
        self._start: datetime | None = None
        self._length = timedelta()
        if isinstance(at, str) and (match := _TIME.match(at)) is not None:
            try:
                self._span(datetime.fromisoformat(at), timedelta(seconds=1 if match["second"] else 60))
            except ValueError:
                self._name = at
        elif isinstance(at, datetime):
            self._span(at, timedelta(seconds=1))
        elif isinstance(at, str):
            self._name = at
        elif at is None:
            self._name = audio

    def _span(self, start: datetime, length: timedelta) -> None:
        self._start, self._length = start, length
        self.required = False  # all messages may be older

    def match(self, message: ChatMessage) -> str | None:
        """`note`: this is it; `name`: it is called like it; `past`: it came before this one; None: none of them."""
        if self._message is not None:
            return "note" if message == self._message else None
        if self._start is not None:
            return self._compare(message)
        if self._name is None or message.replaces is not None:
            return None
        if self.required and message.id == self._name:
            return "note"
        return "name" if _is_called(message, self._name) else None

    def _compare(self, message: ChatMessage) -> str | None:
        assert self._start is not None
        try:
            time = datetime.fromisoformat(message.time or "")
        except ValueError:
            return None
        if time.tzinfo is not None and self._start.tzinfo is None:
            time = time.replace(tzinfo=None)  # as the chat has it
        elif time.tzinfo is None and self._start.tzinfo is not None:
            raise HistoryError(
                "--at: got a time with an offset, expected none: the times in the chat have none"
            )
        since = time - self._start  # not the end of the span: in the year 9999 there may be none
        if since >= self._length:
            return "past"
        # a clock without seconds: any moment of the minute
        length = timedelta(seconds=0 if len(message.time or "") > 16 else 59)
        return "note" if message.kind == "voice" and since >= -length else None


def _is_called(message: ChatMessage, name: str) -> bool:
    """Whether a message's file has that name; recordings may differ in the ending, as audio is converted.

    >>> note, report = (ChatMessage("1", "Ana", "", kind=kind, attachment="A.b") for kind in ("voice", "file"))
    >>> _is_called(note, "a.wav"), _is_called(report, "a.wav"), _is_called(report, "a.b"), _is_called(note, "b.b")
    (True, False, True, False)
    """
    if message.attachment is None:
        return False
    file, name = message.attachment.casefold(), name.casefold()
    return file == name or (message.kind in RECORDED and _stem(file) == _stem(name))


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _person(message: ChatMessage) -> str | None:
    return message.sender_id or message.sender


def _names(messages: Iterable[ChatMessage]) -> dict[str | None, str]:
    """A name for each person, the same one in all turns, and another one for each other person."""
    names: dict[str | None, str] = {}
    for message in messages:
        person, name = _person(message), message.sender or message.sender_id
        if person is None or name is None or person in names:
            continue
        taken, number = set(names.values()), 1
        free = name
        while free in taken:
            number += 1
            free = f"{name} ({number})"
        names[person] = free
    return names
