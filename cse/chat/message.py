"""One message of a chat, as any messaging app exports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "voice", "audio", "image", "video", "file", "other", "deleted", "system"]

# kinds of messages whose text nobody in the chat wrote
UNSPOKEN: frozenset[Kind] = frozenset({"system", "deleted"})
# kinds of messages with sound in their attachment
RECORDED: frozenset[Kind] = frozenset({"voice", "audio", "video"})


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What one person sent in one go.

    Attributes:
        sender_id: Whatever the export tells people apart by; None where nobody sent it.
        sender: The name that is shown for the sender.
        text: The words, or the caption of an attachment; empty where there are none.
        time: ISO 8601, with an offset where the export has one, else as the sender's phone showed it; as written where
            it is no date.
        kind: What it is. `system` is what the app wrote (joins, calls, reactions), `other` what has no words (stickers,
            places, omitted media). A message with an attachment has the attachment's kind.
        attachment: The file's name, without folders.
        forwarded_from: Who wrote the words first.
        id: What the export or this library calls the message (its line, in exports that have lines only).
        chat_id: Of the chat, where an export holds several.
        chat: The chat's name.
        replaces: The id of an earlier message that this one corrects (or, if `deleted`, takes back).
    """

    sender_id: str | None
    sender: str | None
    text: str
    time: str | None = None
    kind: Kind = "text"
    attachment: str | None = None
    forwarded_from: str | None = None
    id: str | None = None
    chat_id: str | None = None
    chat: str | None = None
    replaces: str | None = None

    @property
    def spoken(self) -> bool:
        """Whether somebody in the chat wrote these words.

        >>> ChatMessage("1", "Ana", "Hello").spoken, ChatMessage(None, None, "Ana joined", kind="system").spoken
        (True, False)
        """
        return bool(self.text) and self.kind not in UNSPOKEN
