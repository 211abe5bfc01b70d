"""What a bot needs of a messenger: the boundary between what is the same everywhere and one messenger's ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cse.bots.voices import Voice
from cse.chat import ChatMessage


@dataclass(frozen=True)
class Button:
    """Something to press below a message.

    Attributes:
        label: What it says.
        key: What comes back when it is pressed.
    """

    label: str
    key: str


@dataclass(frozen=True)
class Note:
    """A recording in a chat.

    Attributes:
        message: The message in which it came; has `chat_id` and `id`.
        file: By which the messenger gives it away.
        size_bytes: Where the messenger says so.
        duration_s: Where the messenger says so; its word is not relied on.
    """

    message: ChatMessage
    file: str
    size_bytes: int | None
    duration_s: float | None


class MessengerError(Exception):
    """A messenger did not do what it was asked to; says nothing of what people said."""


class TooLargeError(MessengerError):
    """A file is larger than allowed."""


class ChatGoneError(MessengerError):
    """The bot is not welcome in a chat any more."""


class AskedToWaitError(MessengerError):
    """Too many requests: it was not done, and may be asked for again after a while.

    Attributes:
        wait_s: How long.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__("too many requests")
        self.wait_s = wait_s


class LostError(MessengerError):
    """No answer came, so that it may have been done or not."""


class Messenger(Protocol):
    """Sends and fetches, with patience, and raises `MessengerError` when that is over."""

    async def send_text(self, chat: str, text: str, *, reply_to: str | None, button: Button | None) -> None:
        """Send words."""
        ...

    async def send_voice(
        self, chat: str, voice: Voice, caption: str, *, reply_to: str | None, button: Button | None
    ) -> None:
        """Send a voice with words below it."""
        ...

    async def fetch(self, file: str, *, max_bytes: int) -> bytes:
        """The content of a file, of which no more than `max_bytes` are ever taken."""
        ...
