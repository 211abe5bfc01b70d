"""The bot on Matrix: what happens comes by sync, and lost connections are tried again."""

from __future__ import annotations

import asyncio
import logging

from cse.bots.assistant import Assistant
from cse.bots.download import Downloads
from cse.bots.lines import trace_of
from cse.bots.matrix.connection import Connection
from cse.bots.matrix.handlers import Handlers
from cse.bots.matrix.homeserver import Homeserver, TokenRefusedError
from cse.bots.matrix.messenger import MatrixMessenger
from cse.bots.messenger import AskedToWaitError, MessengerError
from cse.bots.process import SWEEP_S, BotProcess, run_process
from cse.bots.settings import BotSettings
from cse.errors import ConfigError, CseError
from cse.service.extracting import Loader
from cse.service.settings import Settings

log = logging.getLogger("cse.bots")
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 60.0


def run(connection: Connection, settings: BotSettings, limits: Settings, loader: Loader) -> None:
    """Be a bot until SIGTERM or Ctrl-C; then finish what runs. A second signal ends it at once.

    Args:
        connection: To the homeserver.
        settings: What is kept.
        limits: Of recordings and of work on them.
        loader: Makes the extractor, in every worker; can be pickled.

    Raises:
        ConfigError: The token or the user is wrong.
        CseError: The model cannot be loaded, or the homeserver cannot be reached.
    """
    # of an event that has not the form it should have, matrix-nio logs what people wrote
    logging.getLogger("nio").setLevel(logging.CRITICAL + 1)
    try:
        run_process(_MatrixBot(connection, settings).listen, limits, loader)
    except MessengerError as error:
        raise CseError(
            f"{connection.homeserver}: the homeserver does not answer ({error}); try again"
        ) from None


class _MatrixBot:
    """All parts of the bot that know Matrix, from their start to their end."""

    def __init__(self, connection: Connection, settings: BotSettings) -> None:
        self._connection = connection
        self._settings = settings

    async def listen(self, process: BotProcess) -> None:
        """Take what happens until the process is told to end."""
        downloads = Downloads(headers={"Authorization": f"Bearer {self._connection.token}"})
        homeserver = Homeserver(self._connection, patience_s=self._settings.patience_s)
        try:
            await homeserver.check()
            if await process.ready():
                await self._listen(process, homeserver, downloads)
        finally:
            await homeserver.close()
            await downloads.close()

    async def _listen(self, process: BotProcess, homeserver: Homeserver, downloads: Downloads) -> None:
        messenger = MatrixMessenger(
            homeserver=homeserver, downloads=downloads, address=self._connection.homeserver
        )
        assistant = Assistant(settings=self._settings, service=process.service, messenger=messenger)
        handlers = Handlers(
            assistant=assistant, messenger=messenger, homeserver=homeserver, connection=self._connection
        )
        async with process.answering(assistant):
            syncing = asyncio.create_task(_sync_forever(homeserver, handlers))
            ending = asyncio.create_task(process.told_to_end.wait())
            try:
                await asyncio.wait((syncing, ending), return_when=asyncio.FIRST_COMPLETED)
            finally:
                syncing.cancel()
                ending.cancel()
                await asyncio.gather(syncing, ending, return_exceptions=True)
                await handlers.finish(SWEEP_S)
        await handlers.finish_errands(SWEEP_S)
        if not syncing.cancelled():
            syncing.result()  # raises why it ended


async def _sync_forever(homeserver: Homeserver, handlers: Handlers) -> None:
    """Hand over what happens.

    Raises:
        ConfigError: The token was revoked.
    """
    pause_s, connected = _FIRST_PAUSE_S, False
    while True:
        first = homeserver.first
        try:
            happened = await homeserver.sync()
            handlers.take(happened, first=first)
        except TokenRefusedError:
            raise ConfigError("token: it was revoked; expected one that goes on to be valid") from None
        except AskedToWaitError as error:
            await asyncio.sleep(error.wait_s)
            continue
        except MessengerError as error:
            log.warning("the homeserver does not answer (%s), trying again", error)
        except Exception as error:  # it would come again and again
            log.error("an answer of the homeserver was left out: %s", trace_of(error))
            homeserver.begin_anew()
        else:
            pause_s = _FIRST_PAUSE_S
            if not connected:
                log.info("listening to Matrix")
                connected = True
            continue
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
