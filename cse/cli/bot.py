"""`cse bot`: the voice that continues a conversation, in a messenger."""

from __future__ import annotations

import argparse
import functools
from typing import Any
from urllib.parse import urlsplit

from cse.cli.models import add_model_options, load_extractor
from cse.errors import ConfigError, MissingExtraError

_WEBHOOK: dict[str, tuple[type, str]] = {
    "host": (str, "address to listen on (default: 127.0.0.1)"),
    "port": (int, "to listen on; something in front of it speaks TLS (default: 8443)"),
}
_KEPT: dict[str, tuple[type, str]] = {
    "max_messages": (int, "last messages of a chat that are kept (default: 50)"),
    "keep_h": (float, "hours after which a message is forgotten (default: 24)"),
    "max_chats": (int, "chats that are kept; the quietest are forgotten (default: 1000)"),
    "max_file_mb": (float, "largest voice note (default: 20, as much as Telegram lets bots download)"),
    "offer_min": (float, "minutes for which the other voices can be asked for (default: 10)"),
}
_WORK: dict[str, tuple[type, str]] = {
    "workers": (int, "voice notes worked on at once, each by processes of its own (default: 1)"),
    "threads": (int, "arithmetic threads of each (default: the cores, shared)"),
    "max_waiting": (int, "voice notes of all chats that wait for a worker (default: 16)"),
    "time_limit_s": (float, "work on one voice note (default: 300)"),
    "max_duration_s": (float, "longest voice note (default: 600)"),
    "shutdown_limit_s": (float, "how long what runs may go on after SIGTERM (default: 300)"),
}


def main(argv: list[str]) -> int:
    """Parse, be a bot."""
    options = _parser().parse_args(argv)
    try:
        import fastapi  # noqa: F401
        import httpx  # noqa: F401
        import prometheus_client  # noqa: F401
        import telegram  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            feature="the bot", extra="service", package=error.name or "telegram"
        ) from None
    from cse.bots.settings import BotSettings
    from cse.bots.telegram.connection import Connection, Webhook, read_token
    from cse.bots.telegram.runner import run
    from cse.service.settings import Settings

    connection: dict[str, Any] = {"token": read_token(options.token_file)}
    if options.api_url is not None:
        connection["api_url"] = _url("--api-url", options.api_url)
    if options.webhook_url is not None:
        url = _url("--webhook-url", options.webhook_url)
        connection["webhook"] = Webhook(url=url, **_given(options, _WEBHOOK))
    run(
        Connection(**connection),
        BotSettings(**_given(options, _KEPT)),
        Settings(**_given(options, _WORK)),
        functools.partial(load_extractor, options),
    )
    return 0


def _given(options: argparse.Namespace, names: dict[str, tuple[type, str]]) -> dict[str, Any]:
    """What was said; defaults are those of the settings."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _url(option: str, url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigError(f"{option}: got {url!r}, expected http://… or https://…")
    return url


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cse bot", description="Answer voice notes in a messenger.")
    messengers = parser.add_subparsers(required=True, metavar="MESSENGER")
    telegram = messengers.add_parser(
        "telegram",
        help="a Telegram bot",
        description="Answer voice notes in Telegram chats that asked for it. The token of the bot is read from the "
        "environment variable CSE_TELEGRAM_TOKEN or from a file, never from the command line.",
    )
    telegram.add_argument("--token-file", metavar="FILE", help="with the token (default: CSE_TELEGRAM_TOKEN)")
    telegram.add_argument(
        "--api-url", metavar="URL", help="Bot API server (default: https://api.telegram.org)"
    )
    webhook = telegram.add_argument_group(
        "webhook", "Without --webhook-url the bot asks for updates (polling)"
    )
    webhook.add_argument(
        "--webhook-url", metavar="URL", help="where Telegram sends updates to, e.g. https://…/bot"
    )
    _add(webhook, _WEBHOOK)
    _add(telegram.add_argument_group("what is kept, in memory only"), _KEPT)
    _add(telegram.add_argument_group("work"), _WORK)
    add_model_options(telegram)
    return parser


def _add(group: argparse._ArgumentGroup, options: dict[str, tuple[type, str]]) -> None:
    for name, (kind, text) in options.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__.upper(), help=text)
