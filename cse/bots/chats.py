"""What a bot remembers of chats: the last messages of each that asked for it, in memory only, and for a while."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from cse.bots.settings import BotSettings
from cse.chat import ChatMessage, Context, build_context

_NOTES = frozenset({"voice", "audio", "video"})


@dataclass
class _Kept:
    message: ChatMessage
    until_s: float


class Chats:
    """The windows of all chats. A chat that did not ask has none.

    Args:
        settings: How much is kept, and for how long.
        forgotten: Is told of a chat that was quiet for too long, when others need its place.
        clock: Seconds that only go forward.

    >>> chats = Chats(settings=BotSettings())
    >>> chats.open("7"), chats.open("7")
    (True, False)
    >>> chats.add(ChatMessage("1", "Ana", "Where?", id="1", chat_id="7"))
    >>> note = ChatMessage("2", "Ben", "", kind="voice", id="2", chat_id="7")
    >>> chats.add(note)
    >>> chats.context(note).turns
    [Turn(text='Where?', speaker='Ana', time=None)]
    >>> chats.forget("7"), chats.is_open("7")
    (True, False)
    """

    def __init__(
        self,
        *,
        settings: BotSettings,
        forgotten: Callable[[str], None] = lambda chat: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._forgotten = forgotten
        self._clock = clock
        self._windows: OrderedDict[str, deque[_Kept]] = OrderedDict()  # the quietest chat first

    def open(self, chat: str) -> bool:
        """Begin to remember a chat; False if it was remembered already."""
        if chat in self._windows:
            return False
        self._windows[chat] = deque(maxlen=self._settings.max_messages)
        while len(self._windows) > self._settings.max_chats:
            quietest, _ = self._windows.popitem(last=False)
            self._forgotten(quietest)
        return True

    def is_open(self, chat: str) -> bool:
        """Whether a chat asked to be remembered."""
        return chat in self._windows

    def forget(self, chat: str) -> bool:
        """Forget a chat and everything in it; False if nothing was remembered."""
        return self._windows.pop(chat, None) is not None

    def rename(self, old: str, new: str) -> None:
        """A chat has another id from now on."""
        if (window := self._windows.pop(old, None)) is not None:
            for kept in window:
                kept.message = replace(kept.message, chat_id=new)
            self._windows[new] = window

    def texts(self, chat: str) -> int:
        """How many messages with words are remembered of a chat."""
        return sum(kept.message.spoken for kept in self._fresh(chat))

    def add(self, message: ChatMessage) -> None:
        """Remember a message, or the new words of one; not if its chat did not ask, nor if nobody said anything.

        Words are corrected only by who said them; taken back they may be by others, who look after the chat.
        """
        chat = message.chat_id or ""
        if chat not in self._windows:
            return
        self._windows.move_to_end(chat)
        message = replace(message, text=message.text[: self._settings.max_characters])
        window = self._fresh(chat)
        if message.replaces is not None:
            for kept in window:
                if kept.message.id == message.replaces and (
                    message.kind == "deleted" or kept.message.sender_id == message.sender_id
                ):
                    kept.message = replace(kept.message, text=message.text)
        elif message.spoken or message.kind in _NOTES:
            window.append(_Kept(message, self._clock() + 3600 * self._settings.keep_h))

    def context(self, note: ChatMessage) -> Context:
        """The turns before a voice note, which may have been sent long ago."""
        messages = [kept.message for kept in self._fresh(note.chat_id or "")]
        places = [place for place, message in enumerate(messages) if message.id == note.id]
        if places:
            before = messages[: places[0]]
        else:  # times are all in UTC, so that they can be compared as text
            before = [message for message in messages if (message.time or "") <= (note.time or "")]
        return build_context([*before, note], at=note)

    def sweep(self) -> None:
        """Forget what is too old; to be called now and then."""
        for chat in self._windows:
            self._fresh(chat)

    def _fresh(self, chat: str) -> deque[_Kept]:
        window = self._windows.get(chat, deque())
        while window and window[0].until_s <= self._clock():
            window.popleft()
        return window
