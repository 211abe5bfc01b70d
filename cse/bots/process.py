"""A bot as a process: its workers, and an end that finishes what runs."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from cse.bots.assistant import Assistant
from cse.errors import CseError
from cse.service.extracting import Loader
from cse.service.service import Service
from cse.service.settings import Settings

log = logging.getLogger("cse.bots")
SWEEP_S = 5.0


class BotProcess:
    """The process of one bot, whatever its messenger.

    Args:
        limits: Of recordings and of work on them.
        loader: Makes the extractor, in every worker; can be pickled.

    Attributes:
        told_to_end: Is set when nothing new is to be begun.
        service: Reads and extracts.
    """

    def __init__(self, *, limits: Settings, loader: Loader) -> None:
        self._limits = limits
        self.told_to_end = asyncio.Event()
        self.service = Service(limits, loader)

    async def run(self, listen: Callable[[BotProcess], Awaitable[None]]) -> None:
        """Start the workers, and listen until that ends."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        self.service.start()
        try:
            await listen(self)
        finally:
            await self.service.close()

    async def ready(self) -> bool:
        """Wait until the workers have loaded; False if the bot was told to end before.

        Raises:
            CseError: The model cannot be loaded.
        """
        while not self.service.ready and not self.told_to_end.is_set():
            if self.service.failure is not None:
                raise CseError(str(self.service.failure))
            await asyncio.sleep(0.05)
        return not self.told_to_end.is_set()

    @asynccontextmanager
    async def answering(self, assistant: Assistant) -> AsyncIterator[None]:
        """While messages come in: forget what is too old. Afterwards: finish what was begun."""
        sweeping = asyncio.create_task(_sweep(assistant))
        try:
            yield
        finally:
            if not await assistant.finish(self._limits.shutdown_limit_s):
                log.warning("not everything was finished in time")
            sweeping.cancel()

    def _end(self) -> None:
        if self.told_to_end.is_set():
            for worker in multiprocessing.active_children():
                worker.kill()
            os._exit(1)
        log.info("shutting down: what runs goes on for at most %g s", self._limits.shutdown_limit_s)
        self.told_to_end.set()


def run_process(listen: Callable[[BotProcess], Awaitable[None]], limits: Settings, loader: Loader) -> None:
    """Be a bot until SIGTERM or Ctrl-C; then finish what runs. A second signal ends it at once.

    Args:
        listen: Listens to a messenger until `BotProcess.told_to_end`.
        limits: Of recordings and of work on them.
        loader: Makes the extractor, in every worker; can be pickled.

    Raises:
        CseError: The model cannot be loaded; or what `listen` raises.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    for name in ("httpx", "httpcore"):  # addresses hold tokens and names of files
        logging.getLogger(name).setLevel(logging.WARNING)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would leave people's voices on the disk

    async def main() -> None:
        await BotProcess(limits=limits, loader=loader).run(listen)

    try:
        asyncio.run(main())
    finally:
        for worker in multiprocessing.active_children():  # after a second signal
            worker.kill()


async def _sweep(assistant: Assistant) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        assistant.sweep()
