"""The page that people open in a browser: plain files, and what a browser may do with them."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FOLDER = Path(__file__).parent / "page"
_POLICY = (
    "default-src 'none'; script-src {}; style-src 'self'; img-src 'self'; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asks each time whether there is a newer one
}


class PageFiles(StaticFiles):
    """The files of the page, which talks to its own service only, and runs no script but its own files.

    Args:
        webassembly: Whether it may compile WebAssembly too, for the model in the browser.
    """

    def __init__(self, *, webassembly: bool) -> None:
        super().__init__(directory=_FOLDER)
        scripts = "'self' 'wasm-unsafe-eval'" if webassembly else "'self'"
        self._headers = {**_HEADERS, "Content-Security-Policy": _POLICY.format(scripts)}

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file, with the headers that keep the page to itself."""
        response = await super().get_response(path, scope)
        response.headers.update(self._headers)
        return response


def add_page(app: FastAPI, *, webassembly: bool) -> None:
    """Serve the page at `/`, and its parts below `/page`: a mount at `/` would hide wrong methods of routes.

    Args:
        app: To which it is added.
        webassembly: See `PageFiles`.
    """
    files = PageFiles(webassembly=webassembly)

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.mount("/page", files)
