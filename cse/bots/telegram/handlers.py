"""What Telegram's updates mean to the bot."""

from __future__ import annotations

import logging
from typing import Any

from telegram import ChatMember, Update
from telegram.ext import (
    Application,
    ApplicationHandlerStop,
    CallbackQueryHandler,
    ChatMemberHandler,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    TypeHandler,
    filters,
)

from cse.bots.assistant import Assistant
from cse.bots.lines import Lines, trace_of
from cse.bots.messenger import MessengerError
from cse.bots.seen import Seen
from cse.bots.telegram.incoming import chat_message, note_in
from cse.bots.telegram.messenger import TelegramMessenger

log = logging.getLogger("cse.bots")
ALLOWED_UPDATES = ["message", "edited_message", "callback_query", "my_chat_member"]
_Context = ContextTypes.DEFAULT_TYPE
_MAX_PRESSES = 20  # of one chat that wait


class Handlers:
    """Tells the assistant what happened, one update after the other; none of this waits for anything.

    Args:
        assistant: Remembers and answers.
        messenger: Acknowledges buttons.
    """

    def __init__(self, *, assistant: Assistant, messenger: TelegramMessenger) -> None:
        self._assistant = assistant
        self._messenger = messenger
        self._seen = Seen()
        self._presses = Lines(max_waiting=_MAX_PRESSES)

    def add_to(self, application: Application[Any, Any, Any, Any, Any, Any]) -> None:
        """Listen to an application's updates."""
        new = filters.UpdateType.MESSAGE
        application.add_handler(TypeHandler(Update, self._once), group=-1)
        for name in ("start", "stop", "status", "help"):
            application.add_handler(CommandHandler(name, self._command(name), filters=new))
        application.add_handler(CommandHandler("remember", self._remember, filters=new))
        application.add_handler(CommandHandler("extract", self._extract, filters=new))
        application.add_handler(CallbackQueryHandler(self._press))
        application.add_handler(ChatMemberHandler(self._member, ChatMemberHandler.MY_CHAT_MEMBER))
        application.add_handler(MessageHandler(filters.StatusUpdate.MIGRATE, self._migrate))
        application.add_handler(MessageHandler(new, self._message))
        application.add_handler(MessageHandler(filters.UpdateType.EDITED_MESSAGE, self._edited))
        application.add_error_handler(self._error)

    async def finish(self, limit_s: float) -> None:
        """Acknowledge the last buttons."""
        await self._presses.drain(limit_s)

    async def _once(self, update: Update, _: _Context) -> None:
        if not self._seen.is_new(update.update_id):
            raise ApplicationHandlerStop

    def _command(self, name: str) -> Any:
        async def handle(update: Update, context: _Context) -> None:
            chat, reply_to = _place(update)
            if name == "start":
                self._assistant.start(
                    chat,
                    group=_is_group(update),
                    sees_all=bool(context.bot.bot.can_read_all_group_messages),
                    reply_to=reply_to,
                )
            elif name == "stop":
                self._assistant.stop(chat, reply_to=reply_to)
            elif name == "status":
                self._assistant.status(chat, reply_to=reply_to)
            else:
                self._assistant.help(chat, reply_to=reply_to)

        return handle

    async def _remember(self, update: Update, context: _Context) -> None:
        chat, reply_to = _place(update)
        word = (context.args or [""])[0].lower()
        self._assistant.remember(chat, {"on": True, "off": False}.get(word), reply_to=reply_to)

    async def _extract(self, update: Update, _: _Context) -> None:
        chat, reply_to = _place(update)
        asked_about = update.effective_message and update.effective_message.reply_to_message
        note = None if asked_about is None else note_in(asked_about.to_dict(), asked=True)
        if note is None:
            self._assistant.no_note(chat, reply_to=reply_to)
        else:
            self._assistant.note(note, asked=True, group=_is_group(update), reply_to=reply_to)

    async def _message(self, update: Update, _: _Context) -> None:
        assert update.message is not None
        fields = update.message.to_dict()
        if (message := chat_message(fields)) is not None:
            self._assistant.message(message)
        group = _is_group(update)
        if (note := note_in(fields, asked=not group)) is not None:
            self._assistant.note(note, asked=False, group=group, reply_to=note.message.id)

    async def _edited(self, update: Update, _: _Context) -> None:
        assert update.edited_message is not None
        if (message := chat_message(update.edited_message.to_dict(), edited=True)) is not None:
            self._assistant.message(message)

    async def _press(self, update: Update, _: _Context) -> None:
        press = update.callback_query
        assert press is not None
        if press.message is None or press.data is None:
            return
        chat, message = str(press.message.chat.id), str(press.message.message_id)
        notice = self._assistant.press(chat, press.data)

        async def acknowledge() -> None:
            try:
                await self._messenger.acknowledge(press.id, notice)
                await self._messenger.remove_button(chat, message)
            except MessengerError as error:  # it was too long ago, or is gone already
                log.info("a button could not be acknowledged: %s", error)

        self._presses.put(chat, acknowledge)

    async def _member(self, update: Update, _: _Context) -> None:
        change = update.my_chat_member
        assert change is not None
        if change.new_chat_member.status in (ChatMember.LEFT, ChatMember.BANNED):
            self._assistant.forget(str(change.chat.id))

    async def _migrate(self, update: Update, _: _Context) -> None:
        message = update.effective_message
        if message is not None and message.migrate_to_chat_id is not None:
            self._assistant.rename(str(message.chat.id), str(message.migrate_to_chat_id))

    async def _error(self, _: object, context: _Context) -> None:
        if context.error is not None:
            log.error("%s", trace_of(context.error))


def _place(update: Update) -> tuple[str, str]:
    """The chat of a command, and the command's own number."""
    message = update.effective_message
    assert message is not None
    return str(message.chat.id), str(message.message_id)


def _is_group(update: Update) -> bool:
    return update.effective_chat is not None and update.effective_chat.type != "private"
