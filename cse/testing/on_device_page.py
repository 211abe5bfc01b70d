"""The model in the browser, for tests and benchmarks: its files on a server of this process, a page that calls it."""

from __future__ import annotations

import base64
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cse.ondevice.browser import FILES
from cse.ondevice.web_runtime import MODULE

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from starlette.requests import Request
    from starlette.responses import Response

RUNTIME_URL = f"/ondevice/{MODULE}"
_HTML = '<!doctype html><title>On device</title><script type="module" src="/calls.js"></script>'
_CALLS = Path(__file__).with_name("on_device_page.js")
_LONGEST_S = 300.0


class OnDevicePage:
    """A page of a browser with the functions of `on_device_page.js`, under the policy of the real page.

    Args:
        browser: Of playwright.
        models: Folder with models, below `/models`; those of the service are below `/ondevice`.

    Attributes:
        asked: Paths that anybody asked the server for.
        complaints: Errors on the browser's console.
        page: Of playwright.
    """

    def __init__(self, browser: Browser, models: Path) -> None:
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self._app = _application(models)
        self.page = browser.new_page()
        self.page.set_default_timeout(1000 * _LONGEST_S)
        self.page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type == "error" else None
        )

    def __enter__(self) -> Self:
        import uvicorn

        self._server = uvicorn.Server(
            uvicorn.Config(self._serve, interface="asgi3", log_level="warning", lifespan="off")
        )
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        self.page.goto(f"http://127.0.0.1:{self._socket.getsockname()[1]}")
        self.page.wait_for_function("window.ready")
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        await self._app(scope, receive, send)

    def call(self, function: str, *arguments: Any) -> Any:
        """What a function of the page returns; arrays go there as float32."""
        sent = [_sent(argument) for argument in arguments]
        return self.page.evaluate(f"(given) => {function}(...given)", sent)

    def load(self, model_url: str, runtime_url: str = RUNTIME_URL) -> dict[str, Any]:
        """Load a model, in the place of another one."""
        found: dict[str, Any] = self.call("load", model_url, runtime_url)
        return found

    def separate(self, mixture: np.ndarray) -> dict[str, Any]:
        """The answer of `separate`, with its `voices` as arrays (T,)."""
        answer: dict[str, Any] = self.call("separate", mixture)
        voices = [np.frombuffer(base64.b64decode(voice), np.float32) for voice in answer["voices"]]
        return {**answer, "voices": voices}


def _sent(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        return {"samples": base64.b64encode(argument.astype(np.float32).tobytes()).decode()}
    return [_sent(one) for one in argument] if isinstance(argument, list) else argument


def _application(models: Path) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import FileResponse, HTMLResponse

    from cse.service.browser_files import BrowserFiles
    from cse.service.page_files import PageFiles

    files = PageFiles(webassembly=True)
    policy = "Content-Security-Policy"

    async def page(request: Request) -> Response:
        real = await files.get_response("index.html", request.scope)
        return HTMLResponse(_HTML, headers={policy: real.headers[policy]})

    async def calls(request: Request) -> Response:
        return FileResponse(_CALLS, media_type="text/javascript")

    app = Starlette()
    app.mount("/page", files)
    app.mount("/ondevice", BrowserFiles(directory=FILES))
    app.mount("/models", BrowserFiles(directory=models))
    app.add_route("/", page)
    app.add_route("/calls.js", calls)
    return app
