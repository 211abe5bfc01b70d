"""What was understood of a chat, and what was left out: for people who wonder what the model will read."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from cse.chat.context import Context, ContextBuilder
from cse.chat.message import ChatMessage
from cse.chat.sniffing import ChatExport

_MAX_CHATS = 1000
_MAX_PEOPLE = 1000
_MAX_NOTES = 20
_MAX_MORE = 100_000


@dataclass
class ChatSummary:
    """One chat of an export.

    Attributes:
        id: Of the chat, where the export has several.
        name: Of the chat.
        messages: How many, everything counted.
        first: Time of the first message.
        last: Time of the last message.
        people: How many messages each wrote.
        kinds: How many messages there are of each kind.
        notes: The last voice notes.
    """

    id: str | None
    name: str | None
    messages: int = 0
    first: str | None = None
    last: str | None = None
    people: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    notes: deque[ChatMessage] = field(default_factory=lambda: deque(maxlen=_MAX_NOTES))

    def add(self, message: ChatMessage) -> None:
        """Count a message."""
        self.messages += 1
        self.name = message.chat or self.name
        self.first = self.first or message.time
        self.last = message.time or self.last
        self.kinds[message.kind] += 1
        if message.sender is not None and (message.sender in self.people or len(self.people) < _MAX_PEOPLE):
            self.people[message.sender] += 1
        if message.kind == "voice":
            self.notes.append(message)


@dataclass(frozen=True)
class Inspection:
    """What is in an export.

    Attributes:
        format: Of the export.
        chats: Each chat, in the order of its first message.
        more_chats: How many further ones there are, after the first thousand.
        context: The turns that a model gets; None where there are several chats and none was chosen.
    """

    format: str
    chats: list[ChatSummary]
    more_chats: int
    context: Context | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        context = self.context
        return {
            "format": self.format,
            "chats": [_summary(chat) for chat in self.chats],
            "more_chats": self.more_chats,
            "context": None
            if context is None
            else {
                "turns": [
                    {"speaker": turn.speaker, "text": turn.text, "time": turn.time} for turn in context.turns
                ],
                "note": None if context.note is None else _note(context.note),
                "target": context.target,
                "dropped": context.dropped,
            },
        }


def inspect_chat(
    export: ChatExport, *, at: str | None = None, audio: str | None = None, chat: str | None = None
) -> Inspection:
    """Read an export to its end, once.

    Args:
        export: What to read.
        at: See `build_context`, as for the others.
        audio: The name of the recording.
        chat: Name or id of the chat.

    Raises:
        HistoryError: The export is damaged, or the note or the chat is not in it.
    """
    builder = ContextBuilder(at=at, audio=audio, chat=chat)
    chats: dict[str | None, ChatSummary] = {}
    more: set[int] = set()
    for message in export.messages():
        builder.add(message)
        summary = chats.get(message.chat_id)
        if summary is None:
            if len(chats) == _MAX_CHATS:
                if len(more) < _MAX_MORE:
                    more.add(hash(message.chat_id))
                continue
            summary = chats[message.chat_id] = ChatSummary(message.chat_id, message.chat)
        summary.add(message)
    undecided = builder.several_chats and chat is None
    return Inspection(export.format, list(chats.values()), len(more), None if undecided else builder.finish())


def _summary(chat: ChatSummary) -> dict[str, Any]:
    return {
        "id": chat.id,
        "name": chat.name,
        "messages": chat.messages,
        "first": chat.first,
        "last": chat.last,
        "people": dict(chat.people.most_common()),
        "kinds": dict(chat.kinds.most_common()),
        "voice_notes": [_note(note) for note in chat.notes],
    }


def _note(message: ChatMessage) -> dict[str, Any]:
    return {
        "id": message.id, "time": message.time, "sender": message.sender, "attachment": message.attachment
    }  # fmt: skip
