"""The model for the page, where somebody exported it: plain files, sent compressed."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from cse.ondevice.browser import FILES, MANIFEST

_MEDIA_TYPES = {
    # systems may know other ones or none, and browsers compile and run files of these only
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".json": "application/json",
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asks each time whether there is a newer one
    "Vary": "Accept-Encoding",
}


class BrowserFiles(StaticFiles):
    """The folder of `cse export browser`, in which most files are there compressed by gzip as well."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, compressed where that is there and asked for."""
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """See `StaticFiles`: of two files, the one that is asked for."""
        packed = Path(f"{os.fspath(full_path)}.gz")
        encodings = Headers(scope=scope).get("accept-encoding", "")
        compressed = "gzip" in encodings and packed.is_file()
        if compressed:
            full_path, stat_result = packed, packed.stat()
        response = super().file_response(full_path, stat_result, scope, status_code)
        if isinstance(response, FileResponse):
            suffix = Path(full_path).with_suffix("").suffix if compressed else Path(full_path).suffix
            response.headers["Content-Type"] = _MEDIA_TYPES.get(suffix, "application/octet-stream")
            if compressed:
                response.headers["Content-Encoding"] = "gzip"
        return response


def add_browser_files(app: Starlette, folder: Path = FILES) -> None:
    """Serve the folder below `/ondevice`, if it is there; the page looks for its `manifest.json`."""
    if (folder / MANIFEST).is_file():
        app.mount("/ondevice", BrowserFiles(directory=folder))
