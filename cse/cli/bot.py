"""`cse bot`: the voice that continues a conversation, in a messenger."""

from __future__ import annotations

import argparse
import functools
import importlib
from typing import Any
from urllib.parse import urlsplit

from cse.cli.models import add_model_options, load_extractor
from cse.cli.parser import Parser
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
        import uvicorn  # noqa: F401

        importlib.import_module(options.library)
    except ImportError as error:
        raise MissingExtraError(
            feature="the bot", extra=options.extra, package=error.name or options.library
        ) from None
    from cse.bots.settings import BotSettings
    from cse.service.settings import Settings

    options.run(
        options,
        BotSettings(**_given(options, _KEPT)),
        Settings(**_given(options, _WORK)),
        functools.partial(load_extractor, options),
    )
    return 0


def _telegram(options: argparse.Namespace, *run_with: Any) -> None:
    from cse.bots.telegram.connection import Connection, Webhook, read_token
    from cse.bots.telegram.runner import run

    connection: dict[str, Any] = {"token": read_token(options.token_file)}
    if options.api_url is not None:
        connection["api_url"] = _url("--api-url", options.api_url)
    if options.webhook_url is not None:
        url = _url("--webhook-url", options.webhook_url)
        connection["webhook"] = Webhook(url=url, **_given(options, _WEBHOOK))
    run(Connection(**connection), *run_with)


def _matrix(options: argparse.Namespace, *run_with: Any) -> None:
    from cse.bots.matrix.connection import Connection, read_token
    from cse.bots.matrix.runner import run

    connection = Connection(
        homeserver=_url("--homeserver", options.homeserver),
        user=options.user,
        token=read_token(options.token_file),
        invited_by=tuple(options.invited_by),
    )
    run(connection, *run_with)


def _given(options: argparse.Namespace, names: dict[str, tuple[type, str]]) -> dict[str, Any]:
    """What was said; defaults are those of the settings."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _url(option: str, url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigError(f"{option}: got {url!r}, expected http://… or https://…")
    return url


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="cse bot", description="Answer voice notes in a messenger.")
    messengers = parser.add_subparsers(required=True, metavar="MESSENGER")
    telegram = messengers.add_parser(
        "telegram",
        help="a Telegram bot",
        description="Answer voice notes in Telegram chats that asked for it. The token of the bot is read from the "
        "environment variable CSE_TELEGRAM_TOKEN or from a file, never from the command line.",
    )
    telegram.set_defaults(run=_telegram, library="telegram", extra="service")
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
    _add_common(telegram)
    matrix = messengers.add_parser(
        "matrix",
        help="a Matrix bot",
        description="Answer voice notes in Matrix rooms that asked for it with !start. Rooms that are encrypted from "
        "end to end are not served: the bot says so there and leaves. The access token is read from the environment "
        "variable CSE_MATRIX_TOKEN or from a file, never from the command line.",
    )
    matrix.set_defaults(run=_matrix, library="nio", extra="matrix")
    matrix.add_argument("--homeserver", metavar="URL", required=True, help="its address, https://…")
    matrix.add_argument("--user", metavar="ID", required=True, help="who the bot is: @voices:example.org")
    matrix.add_argument("--token-file", metavar="FILE", help="with the token (default: CSE_MATRIX_TOKEN)")
    matrix.add_argument(
        "--invited-by",
        metavar="WHO",
        action="append",
        default=[],
        help="accept invitations of this user (@ana:example.org) or server (example.org) only; may be given again",
    )
    _add_common(matrix)
    return parser


def _add_common(messenger: argparse.ArgumentParser) -> None:
    _add(messenger.add_argument_group("what is kept, in memory only"), _KEPT)
    _add(messenger.add_argument_group("work"), _WORK)
    add_model_options(messenger)


def _add(group: argparse._ArgumentGroup, options: dict[str, tuple[type, str]]) -> None:
    for name, (kind, text) in options.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__.upper(), help=text)
