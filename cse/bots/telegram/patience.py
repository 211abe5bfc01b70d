"""Trying again: when Telegram asks to wait, and when it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from telegram.error import BadRequest, Forbidden, NetworkError, RetryAfter, TelegramError

from cse.bots.messenger import ChatGoneError, MessengerError

Result = TypeVar("Result")
_FIRST_PAUSE_S = 0.5
_GONE = ("chat not found", "group chat was upgraded", "user is deactivated")


async def patiently(call: Callable[[], Awaitable[Result]], *, patience_s: float, harmless: bool) -> Result:
    """What a call of the Bot API gives, tried again for a while.

    Args:
        call: Makes the call.
        patience_s: How long all tries together may take.
        harmless: Whether it may be repeated although Telegram may have done it already; else a message would come
            twice.

    Raises:
        ChatGoneError: The bot is not in the chat any more.
        MessengerError: It did not work; the message holds no address, in which the token would be.
        BadRequest: Telegram refuses the call for another reason.
    """
    loop = asyncio.get_running_loop()
    end_s, pause_s = loop.time() + patience_s, _FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except RetryAfter as error:  # it was not done
            wait_s, failure = _seconds(error.retry_after), "too many requests"
        except BadRequest as error:
            if any(words in str(error).lower() for words in _GONE):
                raise ChatGoneError("the chat is gone") from None
            raise
        except Forbidden:
            raise ChatGoneError("not allowed in the chat") from None
        except NetworkError as error:
            wait_s, failure = pause_s, type(error).__name__
            pause_s *= 2
            if not harmless:
                raise MessengerError(failure) from None
        except TelegramError as error:
            raise MessengerError(type(error).__name__) from None
        if loop.time() + wait_s > end_s:
            raise MessengerError(failure)
        await asyncio.sleep(wait_s)


def _seconds(time: int | timedelta) -> float:
    return time.total_seconds() if isinstance(time, timedelta) else float(time)
