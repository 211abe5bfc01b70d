"""Trying again: when a messenger asks to wait, and when it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cse.bots.messenger import AskedToWaitError, LostError, MessengerError

Result = TypeVar("Result")
_FIRST_PAUSE_S = 0.5


async def patiently(call: Callable[[], Awaitable[Result]], *, patience_s: float, harmless: bool) -> Result:
    """What a call gives, tried again for a while.

    Args:
        call: Makes the call; called once for each try.
        patience_s: How long all tries together may take.
        harmless: Whether it may be repeated although it may have been done already; else a message would come twice.

    Raises:
        MessengerError: It did not work.

    >>> asyncio.run(patiently(lambda: asyncio.sleep(0, "done"), patience_s=1, harmless=True))
    'done'
    """
    loop = asyncio.get_running_loop()
    end_s, pause_s = loop.time() + patience_s, _FIRST_PAUSE_S
    while True:
        failure: MessengerError
        try:
            return await call()
        except AskedToWaitError as error:
            wait_s, failure = error.wait_s, error
        except LostError as error:
            if not harmless:
                raise
            wait_s, failure = pause_s, error
            pause_s *= 2
        if loop.time() + wait_s > end_s:
            raise failure
        await asyncio.sleep(wait_s)
