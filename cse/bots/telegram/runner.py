"""The bot as a process: workers, updates by polling or by webhook, and an end that finishes what runs."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import resource
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from telegram import Update
from telegram.error import Conflict, InvalidToken, TelegramError
from telegram.ext import Application, ApplicationBuilder

from cse.bots.assistant import Assistant
from cse.bots.settings import BotSettings
from cse.bots.telegram.connection import Connection
from cse.bots.telegram.download import Downloads
from cse.bots.telegram.handlers import ALLOWED_UPDATES, Handlers
from cse.bots.telegram.messenger import TelegramMessenger
from cse.bots.telegram.webhook import WebhookServer, webhook_app
from cse.errors import ConfigError, CseError
from cse.service.extracting import Loader
from cse.service.service import Service
from cse.service.settings import Settings

log = logging.getLogger("cse.bots")
_App = Application[Any, Any, Any, Any, Any, Any]
_SWEEP_S = 5.0


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
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    for name in ("httpx", "httpcore", "telegram", "apscheduler"):  # addresses hold the token
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ["PTB_TIMEDELTA"] = (
        "1"  # python-telegram-bot: durations of one type, and no warnings about the other
    )
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would leave people's voices on the disk
    try:
        asyncio.run(_Bot(connection, settings, limits, loader).run())
    except InvalidToken:  # its message holds the token
        raise ConfigError(
            "token: Telegram does not know it; expected one that @BotFather gave and that was not revoked"
        ) from None
    except TelegramError as error:
        raise CseError(
            f"{connection.api_url}: the Bot API does not answer ({type(error).__name__}); try again"
        ) from None
    finally:
        for worker in multiprocessing.active_children():  # after a second signal
            worker.kill()


class _Bot:
    """All parts of the bot, from their start to their end."""

    def __init__(
        self, connection: Connection, settings: BotSettings, limits: Settings, loader: Loader
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._limits = limits
        self._loader = loader
        self._told_to_end = asyncio.Event()

    async def run(self) -> None:
        """Start, wait for a signal, end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        service = Service(self._limits, self._loader)
        service.start()
        downloads = Downloads()
        try:
            await self._serve(service, downloads)
        finally:
            await downloads.close()
            await service.close()

    def _end(self) -> None:
        if self._told_to_end.is_set():
            for worker in multiprocessing.active_children():
                worker.kill()
            os._exit(1)
        log.info("shutting down: what runs goes on for at most %g s", self._limits.shutdown_limit_s)
        self._told_to_end.set()

    async def _wait_for(self, service: Service) -> None:
        """Until the workers have loaded."""
        while not service.ready and not self._told_to_end.is_set():
            if service.failure is not None:
                raise CseError(str(service.failure))
            await asyncio.sleep(0.05)

    async def _serve(self, service: Service, downloads: Downloads) -> None:
        application = self._application()
        messenger = TelegramMessenger(
            bot=application.bot, downloads=downloads, patience_s=self._settings.patience_s
        )
        assistant = Assistant(settings=self._settings, service=service, messenger=messenger)
        handlers = Handlers(assistant=assistant, messenger=messenger)
        handlers.add_to(application)
        async with application:  # asks Telegram who the bot is
            await self._wait_for(service)
            if self._told_to_end.is_set():
                return
            await application.start()
            sweeping = asyncio.create_task(_sweep(assistant))
            try:
                async with self._updates(application):
                    log.info("listening to Telegram")
                    await self._told_to_end.wait()
            finally:
                await application.stop()  # after the updates that are already here
                if not await assistant.finish(self._limits.shutdown_limit_s):
                    log.warning("not everything was finished in time")
                await handlers.finish(_SWEEP_S)
                sweeping.cancel()

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
    async def _updates(self, application: _App) -> AsyncIterator[None]:
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
            if self._told_to_end.is_set():
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


async def _sweep(assistant: Assistant) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        assistant.sweep()


def _polling_failed(error: TelegramError) -> None:
    if isinstance(error, Conflict):
        log.warning("another process asks for the updates of this bot; stop one of them")
    else:
        log.warning("Telegram does not answer (%s), trying again", type(error).__name__)
