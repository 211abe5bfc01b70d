"""Fetching a file of which nothing is known but that it must not be too large."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx

from cse.bots.messenger import MessengerError, TooLargeError

_TRIES = 3
_PAUSE_S = 1.0  # where a server asks to wait, but not for how long


class Downloads:
    """Fetches files over HTTP.

    Args:
        timeout_s: How long the other side may be silent.
        limit_s: How long a file may take, with all tries.
        headers: Of all requests; they go to no other server, because nobody is followed there.
    """

    def __init__(
        self, *, timeout_s: float = 20.0, limit_s: float = 120.0, headers: Mapping[str, str] | None = None
    ) -> None:
        self._limit_s = limit_s
        self._client = httpx.AsyncClient(timeout=timeout_s, headers=headers, follow_redirects=False)

    async def fetch(self, address: str, *, max_bytes: int) -> bytes:
        """The content of a file; what breaks off is tried again, and so is what the server asks to wait for.

        Raises:
            TooLargeError: It is larger than `max_bytes`, whatever was announced.
            MessengerError: It cannot be fetched; the message does not hold the address, in which the token is.
        """
        failure = ""
        try:
            async with asyncio.timeout(self._limit_s):
                for _ in range(_TRIES):
                    try:
                        return await self._once(address, max_bytes)
                    except httpx.HTTPStatusError as error:
                        failure = f"status {error.response.status_code}"
                        await asyncio.sleep(_asked_to_wait_s(error.response))
                    except (httpx.HTTPError, httpx.InvalidURL) as error:
                        failure = type(error).__name__
        except TimeoutError:
            failure = "took too long"
        raise MessengerError(f"download: {failure}")

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _once(self, address: str, max_bytes: int) -> bytes:
        content = bytearray()
        async with self._client.stream("GET", address) as response:
            response.raise_for_status()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > max_bytes:
                    raise TooLargeError("download: more than allowed")
        return bytes(content)


def _asked_to_wait_s(response: httpx.Response) -> float:
    """How long to wait before the next try.

    >>> _asked_to_wait_s(httpx.Response(429, headers={"Retry-After": "3"})), _asked_to_wait_s(httpx.Response(500))
    (3.0, 0.0)
    """
    if response.status_code != httpx.codes.TOO_MANY_REQUESTS:
        return 0.0
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else _PAUSE_S
