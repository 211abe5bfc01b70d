"""Telegram as a messenger: the calls of the Bot API by which the bot sends and fetches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, InputFile, ReplyParameters
from telegram.error import BadRequest

from cse.bots.download import Downloads
from cse.bots.messenger import Button, MessengerError, TooLargeError
from cse.bots.patience import patiently
from cse.bots.telegram.refusals import translated
from cse.bots.voices import Voice

Result = TypeVar("Result")


class TelegramMessenger:
    """See `cse.bots.messenger.Messenger`. Chats and messages are called by their numbers, as text.

    Args:
        bot: Of python-telegram-bot.
        downloads: Fetches files.
        patience_s: How long to go on trying.
    """

    def __init__(self, *, bot: Bot, downloads: Downloads, patience_s: float) -> None:
        self._bot = bot
        self._downloads = downloads
        self._patience_s = patience_s

    async def send_text(self, chat: str, text: str, *, reply_to: str | None, button: Button | None) -> None:
        """Send words."""
        await self._once(
            lambda: self._bot.send_message(
                int(chat), text, reply_parameters=_reply(reply_to), reply_markup=_keyboard(button)
            )
        )

    async def send_voice(
        self, chat: str, voice: Voice, caption: str, *, reply_to: str | None, button: Button | None
    ) -> None:
        """Send a voice message; as a file to those who want no voice messages."""
        duration = timedelta(seconds=round(voice.duration_s))
        reply, keyboard = _reply(reply_to), _keyboard(button)
        try:
            await self._once(
                lambda: self._bot.send_voice(
                    int(chat),
                    InputFile(voice.audio, "voice.ogg"),
                    duration=duration,
                    caption=caption,
                    reply_parameters=reply,
                    reply_markup=keyboard,
                )
            )
        except _RefusedError as refused:
            if "voice_messages_forbidden" not in refused.reason:
                raise
            await self._once(
                lambda: self._bot.send_document(
                    int(chat),
                    InputFile(voice.audio, "voice.ogg"),
                    caption=caption,
                    reply_parameters=reply,
                    reply_markup=keyboard,
                )
            )

    async def fetch(self, file: str, *, max_bytes: int) -> bytes:
        """The content of a file, by its file_id."""
        found = await self._repeatedly(lambda: self._bot.get_file(file))
        if found.file_size is not None and found.file_size > max_bytes:
            raise TooLargeError("getFile: more than allowed")
        # an address of this server only: another one could make the bot fetch from anywhere
        if not (found.file_path or "").startswith(f"{self._bot.base_file_url}/"):
            raise MessengerError("getFile: no address")
        return await self._downloads.fetch(found.file_path or "", max_bytes=max_bytes)

    async def acknowledge(self, press: str, notice: str | None) -> None:
        """Tell who pressed a button that this was noticed."""
        await self._repeatedly(lambda: self._bot.answer_callback_query(press, notice))

    async def remove_button(self, chat: str, message: str) -> None:
        """Take the button away from below a message of the bot."""
        await self._repeatedly(lambda: self._bot.edit_message_reply_markup(int(chat), int(message)))

    async def _once(self, call: Callable[[], Awaitable[Result]]) -> Result:
        return await self._patiently(call, harmless=False)

    async def _repeatedly(self, call: Callable[[], Awaitable[Result]]) -> Result:
        return await self._patiently(call, harmless=True)

    async def _patiently(self, call: Callable[[], Awaitable[Result]], *, harmless: bool) -> Result:
        try:
            return await patiently(lambda: translated(call()), patience_s=self._patience_s, harmless=harmless)
        except BadRequest as error:
            raise _RefusedError(str(error)) from None


class _RefusedError(MessengerError):
    """Telegram refuses a call; it would do so again."""

    def __init__(self, reason: str) -> None:
        super().__init__("refused")
        self.reason = reason.lower()


def _reply(message: str | None) -> ReplyParameters | None:
    if message is None:
        return None
    return ReplyParameters(int(message), allow_sending_without_reply=True)


def _keyboard(button: Button | None) -> InlineKeyboardMarkup | None:
    if button is None:
        return None
    return InlineKeyboardMarkup([[InlineKeyboardButton(button.label, callback_data=button.key)]])
