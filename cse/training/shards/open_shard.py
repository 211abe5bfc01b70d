"""One shard, of which any mixture can be read."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from cse.errors import CseError, ManifestError, one_line
from cse.training.shards.index import ShardAddress

_LONGEST_S = 3600


class OpenShard:
    """A shard of which any mixture can be read.

    Args:
        path: The file.
        shard: What it has to be.

    Raises:
        CseError: It cannot be read.
        ManifestError: It is no shard, or has another number of mixtures than its index says.
    """

    def __init__(self, path: Path, shard: ShardAddress) -> None:
        self.place = shard.place
        self._members: dict[str, dict[str, tuple[int, int]]] = {}
        try:
            self._file = path.open("rb")
            with tarfile.open(
                fileobj=self._file, mode="r:"
            ) as archive:  # not compressed: its size is its size
                for member in archive:
                    key, _, kind = member.name.partition(".")
                    if member.isreg():
                        self._members.setdefault(key, {})[kind] = (member.offset_data, member.size)
        except OSError as error:
            raise CseError(f"{shard.place}: cannot read: {one_line(error)}") from error
        except tarfile.TarError as error:
            raise ManifestError(f"{shard.place}: got no shard: {one_line(error)}; write it again") from error
        self._keys = list(self._members)
        if len(self._keys) != shard.mixtures:
            raise ManifestError(
                f"{shard.place}: got {len(self._keys)} mixtures, expected {shard.mixtures} as its index says"
            )

    def record(self, number: int) -> dict[str, Any]:
        """The line of the manifest of mixture `number`."""
        try:
            content = json.loads(self._read(number, "json"))
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise ManifestError(f"{self._name(number)}.json: got no JSON object")
        return content

    def samples(self, number: int, kind: str) -> int:
        """Length of an audio file of mixture `number`."""
        with self._open(number, kind) as sound:
            return int(sound.frames)

    def audio(self, number: int, kind: str, start: int = 0, samples: int | None = None) -> np.ndarray:
        """(≤ `samples`,) float32 of an audio file of mixture `number`, from sample `start` on."""
        with self._open(number, kind) as sound:
            sound.seek(min(start, sound.frames))
            waveform: np.ndarray = sound.read(-1 if samples is None else samples, dtype="float32")
            return waveform

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @contextmanager
    def _open(self, number: int, kind: str) -> Iterator[soundfile.SoundFile]:
        name = f"{self._name(number)}.{kind}.flac"
        try:
            with soundfile.SoundFile(io.BytesIO(self._read(number, f"{kind}.flac"))) as sound:
                if sound.channels != 1 or not 0 < sound.frames <= _LONGEST_S * sound.samplerate:
                    raise ManifestError(
                        f"{name}: got {sound.frames} samples of {sound.channels} channels, expected one"
                    )
                yield sound
        except soundfile.LibsndfileError as error:
            raise ManifestError(f"{name}: {one_line(error)}") from error

    def _read(self, number: int, kind: str) -> bytes:
        try:
            offset, size = self._members[self._keys[number]][kind]
        except KeyError:
            raise ManifestError(f"{self._name(number)}.{kind}: not in the shard") from None
        return os.pread(self._file.fileno(), size, offset)

    def _name(self, number: int) -> str:
        return f"{self.place}: {self._keys[number]}"
