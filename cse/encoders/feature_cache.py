"""What an encoder made of a text, kept under a hash of it: in memory, and on the disk where that is asked for."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cse.encoders.disk_cache import DiskCache

MEMORY_BYTES = 128 * 2**20
"""Features kept in memory by default: 87,000 vectors of MiniLM, 8,000 of an 8B model."""


class FeatureCache:
    """Keeps features by content, so that the same text is encoded once. Safe to call from several threads.

    Keys are hashes of what encoded the text and of the text; no text is kept. In memory the features used last stay;
    on the disk all of them do, for all processes that name the same folder. Copies and other processes begin with an
    empty memory.

    Args:
        folder: Where features are kept beyond this process; None leaves nothing on the disk.
        memory_bytes: Most that is kept in memory.

    Example:
        >>> cache = FeatureCache()
        >>> def lengths(texts):
        ...     print("asked for", texts)
        ...     return [np.full((1, 1), len(text), np.float32) for text in texts]
        >>> _ = cache.features(["Hi.", "Lunch?"], made_by="length", compute=lengths)
        asked for ['Hi.', 'Lunch?']
        >>> cache.features(["Hi.", "Now.", "Now."], made_by="length", compute=lengths)[0]
        asked for ['Now.']
        array([[3.]], dtype=float32)
    """

    def __init__(
        self, *, folder: str | os.PathLike[str] | None = None, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.memory_bytes = memory_bytes
        self._disk = None if self.folder is None else DiskCache(self.folder)
        self._memory: OrderedDict[bytes, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def features(
        self, texts: Sequence[str], *, made_by: str, compute: Callable[[list[str]], Sequence[np.ndarray]]
    ) -> list[np.ndarray]:
        """Look features up, and compute those that are not there, each text once.

        Args:
            texts: Any number, with repetitions.
            made_by: What else the features depend on: encoder and pooling.
            compute: Makes one float32 array of each text it is given.

        Returns:
            One array a text, not to be written into.

        Raises:
            CseError: The folder cannot be used.
        """
        keys = [content_key(made_by, text) for text in texts]
        known = self._remembered(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing and self._disk is not None:
            known.update(self._disk.read(list(missing)))
            missing = {key: text for key, text in missing.items() if key not in known}
        if missing:
            made = dict(zip(missing, compute(list(missing.values())), strict=True))
            if self._disk is not None:
                self._disk.write(made)
            known.update(made)
        self._remember(known)
        return [known[key] for key in keys]

    def _remembered(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        with self._lock:
            return {key: self._memory[key] for key in keys if key in self._memory}

    def _remember(self, known: Mapping[bytes, np.ndarray]) -> None:
        with self._lock:
            for key, value in known.items():
                if key not in self._memory:
                    self._memory[key] = value
                    self._bytes += value.nbytes
                self._memory.move_to_end(key)
            while self._bytes > self.memory_bytes:
                self._bytes -= self._memory.popitem(last=False)[1].nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.folder, self.memory_bytes)


def _rebuild(folder: Path | None, memory_bytes: int) -> FeatureCache:
    return FeatureCache(folder=folder, memory_bytes=memory_bytes)


def content_key(made_by: str, text: str) -> bytes:
    """Hash of a text and of what its features depend on beside it, 16 bytes."""
    parts = [hashlib.blake2b(part.encode("utf-8", "surrogatepass")).digest() for part in (made_by, text)]
    return hashlib.blake2b(b"".join(parts), digest_size=16).digest()
