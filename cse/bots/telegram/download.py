"""Fetching a file of which nothing is known but that it must not be too large."""

from __future__ import annotations

import asyncio

import httpx

from cse.bots.messenger import MessengerError, TooLargeError

_TRIES = 3


class Downloads:
    """Fetches files over HTTP.

    Args:
        timeout_s: How long the other side may be silent.
        limit_s: How long a file may take, with all tries.
    """

    def __init__(self, *, timeout_s: float = 20.0, limit_s: float = 120.0) -> None:
        self._limit_s = limit_s
        self._client = httpx.AsyncClient(timeout=timeout_s)

    async def fetch(self, address: str, *, max_bytes: int) -> bytes:
        """The content of a file; what breaks off is tried again.

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
