"""`cse serve`: the HTTP service."""

from __future__ import annotations

import argparse
import functools

from cse.cli.models import add_model_options, load_extractor
from cse.cli.parser import Parser
from cse.errors import MissingExtraError


def main(argv: list[str]) -> int:
    """Parse, serve."""
    options = _parser().parse_args(argv)
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            feature="the service", extra="service", package=error.name or "fastapi"
        ) from None
    from cse.service.auth import read_api_keys
    from cse.service.server import serve
    from cse.service.settings import Settings

    limits = {
        name: getattr(options, name) for name in _LIMITS if getattr(options, name) is not None
    }  # defaults are those of Settings
    if options.api_key_file is not None:
        limits["api_keys"] = read_api_keys(options.api_key_file)
    if options.allowed_host:
        limits["allowed_hosts"] = tuple(options.allowed_host)
    serve(
        Settings(**limits),
        functools.partial(load_extractor, options),
        host=options.host,
        port=options.port,
    )
    return 0


_LIMITS: dict[str, tuple[type, str]] = {
    "workers": (int, "requests worked on at once, each by processes of its own (default: 1)"),
    "threads": (int, "arithmetic threads of each (default: the cores, shared)"),
    "max_waiting": (int, "requests that wait for a worker before others are turned away (default: 16)"),
    "time_limit_s": (float, "work on one request (default: 300)"),
    "read_limit_s": (float, "processor time of reading a conversation (default: 20)"),
    "max_body_mb": (float, "longest request body (default: 25)"),
    "max_duration_s": (float, "longest recording (default: 600)"),
    "job_ttl_s": (float, "how long results of jobs are kept (default: 600)"),
    "max_streams": (int, "WebSockets at once, by one more process (default: 0, none)"),
    "max_stream_s": (float, "longest stream (default: 600)"),
    "shutdown_limit_s": (float, "how long what runs may go on after SIGTERM (default: 300)"),
}


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="cse serve", description="Serve the extraction over HTTP; its routes are at /openapi.json."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--api-key-file",
        metavar="FILE",
        help="keys that let in, one a line; needed to listen for other machines",
    )
    parser.add_argument(
        "--allowed-host",
        metavar="NAME",
        action="append",
        help="name of the service in the header Host, where there are no keys (default: those of this machine)",
    )
    limits = parser.add_argument_group("limits")
    for name, (kind, text) in _LIMITS.items():
        limits.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=text)
    add_model_options(parser)
    return parser
