"""What the service and its worker processes tell each other: a JSON object and blobs of bytes, never pickle.

A worker decodes what strangers send; if one of them took it over, its answers must not run code in the service.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

_MAX_HEADER_BYTES = 256 * 2**20  # 200,000 turns
_MAX_BLOBS = 64


@dataclass(frozen=True)
class Message:
    """One question to a worker, or its answer."""

    header: dict[str, Any]
    blobs: tuple[bytes | memoryview, ...] = ()


def send(connection: Connection, message: Message) -> None:
    """Write a message into a pipe; blocks until it has been read, but for what the pipe holds.

    Raises:
        OSError: The other end is gone.
    """
    envelope = {"header": message.header, "bytes": [len(blob) for blob in message.blobs]}
    connection.send_bytes(json.dumps(envelope).encode())
    for blob in message.blobs:
        connection.send_bytes(blob)


def receive(connection: Connection) -> Message:
    """Read a message from a pipe; blocks until there is one.

    Raises:
        EOFError: The other end is gone.
        OSError: So it is, or it sends what is no message.
    """
    try:
        envelope = json.loads(connection.recv_bytes(_MAX_HEADER_BYTES))
        header, sizes = envelope["header"], envelope["bytes"]
        if not isinstance(header, dict) or len(sizes) > _MAX_BLOBS:
            raise ValueError("another form")
        return Message(header, tuple(connection.recv_bytes(size) for size in sizes))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise OSError(f"got no message from a worker ({type(error).__name__})") from None
