"""Shards as files on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cse.errors import ManifestError
from cse.files import atomic_write
from cse.training.shards.index import ShardAddress
from cse.training.shards.open_shard import OpenShard
from cse.training.shards.places import download, is_remote


class ShardCache:
    """Shards as files on this machine; those of a web server are downloaded once, checked, and kept.

    Args:
        folder: For downloaded shards.
        limit_gb: Downloaded shards beyond this are deleted, those first that were not used for longest; None keeps all.
    """

    def __init__(self, folder: Path, *, limit_gb: float | None = None) -> None:
        self.folder = folder
        self.limit_gb = limit_gb

    def open(self, shard: ShardAddress) -> OpenShard:
        """A shard that can be read.

        Raises:
            CseError: It cannot be downloaded or read.
            ManifestError: It is not what its index says.
        """
        if not is_remote(shard.place):
            return OpenShard(Path(shard.place), shard)
        path = self.folder / f"{shard.sha256}.tar"
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):  # the other workers need the same one
            if not path.is_file():
                self._fetch(shard, path)
            os.utime(path)
            return OpenShard(path, shard)

    def _fetch(self, shard: ShardAddress, path: Path) -> None:
        digest = hashlib.sha256()
        with atomic_write(path) as beside:
            with beside.open("wb") as file:

                def write(block: bytes) -> None:
                    digest.update(block)
                    file.write(block)

                download(shard.place, write, largest=shard.bytes)
            if digest.hexdigest() != shard.sha256:
                raise ManifestError(
                    f"{shard.place}: got other bytes than its index says; write the shards again"
                )
        if self.limit_gb is not None:
            self._make_room(self.limit_gb * 1e9, keep=path)

    def _make_room(self, limit_bytes: float, *, keep: Path) -> None:
        """Delete old shards; a worker that still reads one goes on doing so. Other workers may do the same at once."""
        files = []
        for path in self.folder.glob("[!.]*.tar"):  # what begins with a full stop is not finished
            with suppress(FileNotFoundError):
                files.append((path.stat(), path))
        total = sum(stat.st_size for stat, _ in files)
        for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
            if total > limit_bytes and path != keep:
                # not the one that another worker is about to open
                with suppress(BlockingIOError), _locked(path.with_suffix(".lock"), wait=False):
                    path.unlink(missing_ok=True)
                    total -= stat.st_size


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
