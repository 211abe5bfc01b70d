"""Decoded audio on disk, so that training reads random pieces of thousands of files at memory speed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cse.audio import load_waveform
from cse.errors import ConfigError
from cse.files import atomic_write
from cse.manifest import Utterance

_FULL_SCALE = 32767


class WaveformCache:
    """All utterances of a set one after the other in a single memory-mapped 16-bit file.

    The file is named by what is in it (paths, sizes, times of change, rate): a changed corpus gets a new file.

    Args:
        utterances: What to hold.
        folder: Where the file is, or will be made by `build`.
        sample_rate: Rate in Hz at which waveforms are kept.
    """

    def __init__(self, utterances: Sequence[Utterance], folder: Path, sample_rate: int) -> None:
        self.utterances = utterances
        self.sample_rate = sample_rate
        key = json.dumps([sample_rate, [_fingerprint(utterance.audio) for utterance in utterances]])
        self.path = folder / f"waveforms-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
        self._offsets_path = self.path.with_suffix(".offsets.npy")
        self._samples: np.ndarray | None = None
        self._offsets: np.ndarray | None = None

    def build(self) -> None:
        """Decode everything once, with a progress bar; nothing to do if that was done before.

        Raises:
            InvalidAudioError: If a file cannot be decoded; nothing half-written stays.
            ConfigError: If the folder cannot be made.
        """
        if self.path.exists() and self._offsets_path.exists():
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"data.cache_dir: cannot make the folder {self.path.parent}: {error.strerror}; name another one"
            ) from error
        lengths = []
        with atomic_write(self.path) as beside:
            with beside.with_suffix(".raw").open("wb") as raw:
                try:
                    for utterance in tqdm(self.utterances, desc="decoding audio", unit="file"):
                        waveform = np.clip(load_waveform(utterance.audio, self.sample_rate), -1, 1)
                        raw.write(np.round(waveform * _FULL_SCALE).astype(np.int16).tobytes())
                        lengths.append(len(waveform))
                    raw.flush()
                    samples = (
                        np.memmap(raw.name, dtype=np.int16, mode="r")
                        if sum(lengths)
                        else np.empty(0, np.int16)
                    )
                    with beside.open("wb") as stream:
                        np.save(stream, samples, allow_pickle=False)
                finally:
                    Path(raw.name).unlink()
            with atomic_write(self._offsets_path) as offsets_beside, offsets_beside.open("wb") as stream:
                np.save(
                    stream, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), allow_pickle=False
                )

    def length(self, index: int) -> int:
        """Samples of utterance `index`."""
        offsets = self._open()[1]
        return int(offsets[index + 1] - offsets[index])

    def read(self, index: int, start: int = 0, samples: int | None = None) -> np.ndarray:
        """A piece of utterance `index` from sample `start` on: (≤ `samples`,) float32."""
        waveforms, offsets = self._open()
        first, last = int(offsets[index]) + start, int(offsets[index + 1])
        last = last if samples is None else min(last, first + samples)
        # in one pass, without a copy in between
        return np.multiply(waveforms[first:last], np.float32(1 / _FULL_SCALE), dtype=np.float32)

    def _open(self) -> tuple[np.ndarray, np.ndarray]:
        # opened on first use, so that a data-loader worker maps the file itself instead of being sent its content
        if self._samples is None or self._offsets is None:
            self._samples = np.load(self.path, mmap_mode="r", allow_pickle=False)
            self._offsets = np.load(self._offsets_path, allow_pickle=False)
        return self._samples, self._offsets

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_samples": None, "_offsets": None}


def _fingerprint(path: Path) -> tuple[str, int, int]:
    stat = path.stat()
    return (str(path), stat.st_size, stat.st_mtime_ns)
