"""Files on this machine or on a web server."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from cse.errors import CseError, one_line

_LARGEST_TEXT = 2**26
_TIMEOUT_S = (10, 60)  # to connect, and between two pieces of an answer
_BLOCK_BYTES = 2**20


def is_remote(place: str) -> bool:
    """Whether a place is on a web server."""
    return place.lower().startswith(("http://", "https://"))


def read_text(place: str) -> str:
    """A text file (UTF-8).

    Raises:
        CseError: It cannot be read, or is too large.
    """
    if is_remote(place):
        file = io.BytesIO()
        download(place, file.write, largest=_LARGEST_TEXT)
        return file.getvalue().decode("utf-8")
    try:
        return Path(place).read_text(encoding="utf-8")
    except OSError as error:
        raise CseError(f"{place}: cannot read the index of shards: {error.strerror}") from error


def download(url: str, write: Callable[[bytes], object], *, largest: int) -> None:
    """Hand a file on piece by piece, and try again where a server is busy.

    Raises:
        CseError: It cannot be had, or is larger than `largest` bytes.
    """
    import requests
    from requests.adapters import HTTPAdapter, Retry

    with requests.Session() as session:
        again = HTTPAdapter(
            max_retries=Retry(3, backoff_factor=1, status_forcelist=(429, 500, 502, 503, 504))
        )
        session.mount("http://", again)
        session.mount("https://", again)
        try:
            with session.get(url, stream=True, timeout=_TIMEOUT_S) as answer:
                answer.raise_for_status()
                got = 0
                for block in answer.iter_content(_BLOCK_BYTES):
                    got += len(block)
                    if got > largest:
                        raise CseError(f"{url}: got more than the {largest} bytes expected")
                    write(block)
        except (requests.RequestException, OSError) as error:
            raise CseError(f"{url}: cannot download: {one_line(error)}") from error
