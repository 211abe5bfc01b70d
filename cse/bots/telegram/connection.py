"""How the bot and Telegram reach each other; the token comes from the environment or a file, which nobody else sees."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from cse.errors import ConfigError

TOKEN_VARIABLE = "CSE_TELEGRAM_TOKEN"
_TOKEN = re.compile(r"\d{1,20}:[A-Za-z0-9_-]{20,100}")


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where Telegram sends updates to.

    Attributes:
        url: As Telegram sees it; https.
        host: Address to listen on, behind whatever speaks TLS.
        port: To listen on.
    """

    url: str
    host: str = "127.0.0.1"
    port: int = 8443


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How the bot reaches Telegram.

    Attributes:
        token: Of the bot.
        api_url: Of the Bot API server.
        webhook: None asks for updates (polling).
    """

    token: str = field(repr=False)
    api_url: str = "https://api.telegram.org"
    webhook: Webhook | None = None


def read_token(path: str | Path | None) -> str:
    """Read the token.

    Args:
        path: A file with nothing else in it; None takes the environment variable.

    Raises:
        ConfigError: There is none, or it is no token; the message does not hold it.
    """
    if path is None:
        source, text = TOKEN_VARIABLE, os.environ.get(TOKEN_VARIABLE, "")
    else:
        source = str(path)
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no UTF-8 text"
            raise ConfigError(
                f"{path}: cannot read the token: {reason}; expected a file with the token only"
            ) from None
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        got = "something else" if token else "nothing"
        raise ConfigError(
            f"{source}: got {got}, expected the token of a Telegram bot; @BotFather gives one, and it is read from "
            f"{TOKEN_VARIABLE} or from the file that --token-file names"
        )
    return token
