"""The bot on Telegram: updates by polling or by webhook."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from telegram import Update
from telegram.error import Conflict, InvalidToken, TelegramError
from telegram.ext import Application, ApplicationBuilder

from cse.bots.assistant import Assistant
from cse.bots.download import Downloads
from cse.bots.process import SWEEP_S, BotProcess, run_process
from cse.bots.settings import BotSettings
from cse.bots.telegram.connection import Connection
from cse.bots.telegram.handlers import ALLOWED_UPDATES, Handlers
from cse.bots.telegram.messenger import TelegramMessenger
from cse.bots.telegram.webhook import WebhookServer, webhook_app
from cse.errors import ConfigError, CseError
from cse.service.extracting import Loader
from cse.service.settings import Settings

log = logging.getLogger("cse.bots")
_App = Application[Any, Any, Any, Any, Any, Any]


def run(connection: Connection, settings: BotSettings, limits: Settings, loader: Loader) -> None:
    """Be a bot until SIGTERM or Ctrl-C; then finish what runs. A second signal ends it at once.

    Args:
        connection: To Telegram.
        settings: What is kept.
        limits: Of recordings and of work on them.
        loader: Makes the extractor, in every worker; can be pickled.

    Raises:
        ConfigError: The token is wrong, or the address for the webhook cannot be listened on.
        CseError: The model cannot be loaded, or Telegram cannot be reached.
    """
    for name in ("telegram", "apscheduler"):  # addresses hold the token
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ["PTB_TIMEDELTA"] = (
        "1"  # python-telegram-bot: durations of one type, and no warnings about the other
    )
    try:
        run_process(_TelegramBot(connection, settings).listen, limits, loader)
    except InvalidToken:  # its message holds the token
        raise ConfigError(
            "token: Telegram does not know it; expected one that @BotFather gave and that was not revoked"
        ) from None
    except TelegramError as error:
        raise CseError(
            f"{connection.api_url}: the Bot API does not answer ({type(error).__name__}); try again"
        ) from None


class _TelegramBot:
    """All parts of the bot that know Telegram, from their start to their end."""

    def __init__(self, connection: Connection, settings: BotSettings) -> None:
        self._connection = connection
        self._settings = settings

    async def listen(self, process: BotProcess) -> None:
        """Take updates until the process is told to end."""
        downloads = Downloads()
        try:
            await self._listen(process, downloads)
        finally:
            await downloads.close()

    async def _listen(self, process: BotProcess, downloads: Downloads) -> None:
        application = self._application()
        messenger = TelegramMessenger(
            bot=application.bot, downloads=downloads, patience_s=self._settings.patience_s
        )
        assistant = Assistant(settings=self._settings, service=process.service, messenger=messenger)
        handlers = Handlers(assistant=assistant, messenger=messenger)
        handlers.add_to(application)
        async with application:  # asks Telegram who the bot is
            if not await process.ready():
                return
            await application.start()
            async with process.answering(assistant):
                try:
                    async with self._updates(application, process):
                        log.info("listening to Telegram")
                        await process.told_to_end.wait()
                finally:
                    await application.stop()  # after the updates that are already here
            await handlers.finish(SWEEP_S)

    def _application(self) -> _App:
        api_url = self._connection.api_url.rstrip("/")
        builder = (
            ApplicationBuilder()
            .token(self._connection.token)
            .base_url(f"{api_url}/bot")
            .base_file_url(f"{api_url}/file/bot")
            .concurrent_updates(False)  # order is kept; what takes time is done elsewhere
            .connection_pool_size(64)
            .pool_timeout(30)
            .media_write_timeout(60)
        )
        if self._connection.webhook is not None:
            return builder.updater(None).build()
        return builder.build()

    @asynccontextmanager
    async def _updates(self, application: _App, process: BotProcess) -> AsyncIterator[None]:
        """Let updates come in."""
        webhook = self._connection.webhook
        if webhook is None:
            assert application.updater is not None
            await application.updater.start_polling(
                allowed_updates=ALLOWED_UPDATES, bootstrap_retries=3, error_callback=_polling_failed
            )
            try:
                yield
            finally:
                await application.updater.stop()
            return
        secret = secrets.token_urlsafe(32)
        path = urlsplit(webhook.url).path or "/"

        def take(fields: dict[str, Any]) -> bool:
            if process.told_to_end.is_set():
                return False
            try:
                update = Update.de_json(fields, application.bot)
            except (
                AttributeError,
                KeyError,
                TypeError,
                ValueError,
            ) as error:  # it would come again and again
                log.warning("an update of another form was left out (%s)", type(error).__name__)
            else:
                application.update_queue.put_nowait(update)
            return True

        server = WebhookServer(
            webhook_app(path=path, secret=secret, take=take), host=webhook.host, port=webhook.port
        )
        server.start()
        try:
            # over more than one connection at a time, updates would overtake each other
            await application.bot.set_webhook(
                webhook.url, secret_token=secret, max_connections=1, allowed_updates=ALLOWED_UPDATES
            )
            yield
        finally:  # the webhook stays: Telegram keeps the updates until the next start
            await server.close()


def _polling_failed(error: TelegramError) -> None:
    if isinstance(error, Conflict):
        log.warning("another process asks for the updates of this bot; stop one of them")
    else:
        log.warning("Telegram does not answer (%s), trying again", type(error).__name__)
