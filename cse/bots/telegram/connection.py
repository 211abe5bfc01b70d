"""How the bot and Telegram reach each other."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from cse.bots import token

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
    """Read the token; see `cse.bots.token.read_token`."""
    return token.read_token(
        path,
        variable=TOKEN_VARIABLE,
        form=_TOKEN,
        expected="the token of a Telegram bot; @BotFather gives one",
    )
