"""Arrays in a file that several processes read and write at once."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from cse.errors import CseError, one_line

FILE = "features.sqlite"

_TABLE = (
    "CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, rows INTEGER, columns INTEGER, data BLOB)"
)
_WAIT_S = 120.0  # for another process that writes
_KEYS = 500  # in one question


class DiskCache:
    """Two-dimensional float32 arrays by key, in an SQLite file. Safe to call from threads and processes.

    Each write is complete or not there. The file is in SQLite's rollback mode, which works on network folders that
    lock files.

    Args:
        folder: Where the file is; made at the first use.

    Raises:
        CseError: Never here; `read` and `write` do where the folder cannot be used or the file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._lock = threading.Lock()

    def read(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """The arrays that are there."""
        found: dict[bytes, np.ndarray] = {}
        with self._connected() as connection:
            for start in range(0, len(keys), _KEYS):
                some = keys[start : start + _KEYS]
                question = f"SELECT key, rows, columns, data FROM features WHERE key IN ({','.join('?' * len(some))})"
                with closing(connection.execute(question, some)) as answers:
                    for key, rows, columns, data in answers:
                        # a copy, which can be written to and does not hold the database's buffer
                        found[bytes(key)] = np.frombuffer(data, np.float32).reshape(rows, columns).copy()
        return found

    def write(self, arrays: Mapping[bytes, np.ndarray]) -> None:
        """Keep these; a key that another process has written meanwhile keeps its array."""
        entries = [
            (key, *array.shape, np.ascontiguousarray(array, np.float32).tobytes())
            for key, array in arrays.items()
        ]
        with self._connected() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO features VALUES (?, ?, ?, ?)", entries)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None or self._process != os.getpid():
                    # SQLite's connections must not be carried through a fork
                    self._connection, self._process = self._connect(), os.getpid()
                yield self._connection
            except (sqlite3.Error, OSError, ValueError) as error:
                raise CseError(
                    f"{self.path}: the cache of text features cannot be used: {one_line(error)}; delete the file if it "
                    "is damaged, or name another cache folder"
                ) from error

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(_TABLE)
        return connection
