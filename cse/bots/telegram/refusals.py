"""What went wrong at Telegram, in the words of `cse.bots.messenger`."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from telegram.error import BadRequest, Forbidden, NetworkError, RetryAfter, TelegramError

from cse.bots.messenger import AskedToWaitError, ChatGoneError, LostError, MessengerError

Result = TypeVar("Result")
_GONE = ("chat not found", "group chat was upgraded", "user is deactivated")


async def translated(call: Awaitable[Result]) -> Result:
    """What a call of the Bot API gives.

    Raises:
        AskedToWaitError: It was not done.
        LostError: It may have been done.
        ChatGoneError: The bot is not in the chat any more.
        MessengerError: It did not work; the message holds no address, in which the token would be.
        BadRequest: Telegram refuses the call for another reason.
    """
    try:
        return await call
    except RetryAfter as error:
        raise AskedToWaitError(_seconds(error.retry_after)) from None
    except BadRequest as error:
        if any(words in str(error).lower() for words in _GONE):
            raise ChatGoneError("the chat is gone") from None
        raise
    except Forbidden:
        raise ChatGoneError("not allowed in the chat") from None
    except NetworkError as error:
        raise LostError(type(error).__name__) from None
    except TelegramError as error:
        raise MessengerError(type(error).__name__) from None


def _seconds(time: int | timedelta) -> float:
    return time.total_seconds() if isinstance(time, timedelta) else float(time)
