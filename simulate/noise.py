"""Ambient noise: a stretch of a recording of traffic, rain, a fan …, as long as the mixture it goes under."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cse.audio import load_waveform
from cse.errors import ConfigError, InvalidAudioError
from simulate.rooms import Range, check_range

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aiff"})
_TRIES = 20
_SILENT_RMS = 1e-5  # -100 dB; clips of sound events are often padded with digital silence


@dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """Which recordings of noise, and how loud.

    Attributes:
        folder: Recordings to draw from are all audio files in this folder and its subfolders.
        files: Or these recordings; either the folder or the files.
        snr_db: Energy of all talkers together over that of the noise, [lowest, highest], drawn uniformly.
        in_room: Where there is a room, the noise comes from a place in it, as one more talker would; otherwise it is
            added as it was recorded.

    Raises:
        ConfigError: Neither a folder nor files, or both; or a reversed range.
    """

    folder: Path | None = None
    files: tuple[Path, ...] = ()
    snr_db: Range = (0.0, 10.0)
    in_room: bool = True

    def __post_init__(self) -> None:
        if (self.folder is None) == (not self.files):
            got = "neither" if self.folder is None else "both"
            raise ConfigError(f"noise: got {got} of noise.folder and noise.files, expected one of them")
        check_range("noise.snr_db", self.snr_db)

    def recordings(self) -> tuple[Path, ...]:
        """The files to draw from.

        Raises:
            ConfigError: A file or the folder is missing, or no audio is in it.
        """
        if self.folder is not None:
            return find_noise(self.folder)
        missing = [path for path in self.files if not path.is_file()]
        if missing:
            raise ConfigError(
                f"noise.files: no file {missing[0]} ({len(missing)} of {len(self.files)} are missing)"
            )
        return self.files


def find_noise(folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """List the audio files in a folder and its subfolders, in an order that depends on their names alone.

    Raises:
        ConfigError: No such folder, or no audio file in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"noise.folder: {root} is no folder, expected one with recordings of noise")
    found = (path for path in root.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    files = tuple(sorted(found, key=lambda path: path.relative_to(root).as_posix()))
    if not files:
        raise ConfigError(
            f"noise.folder: no audio file in {root}, expected {', '.join(sorted(AUDIO_SUFFIXES))}"
        )
    return files


def sample_noise(
    files: Sequence[Path], samples: int, sample_rate: int, rng: np.random.Generator
) -> tuple[np.ndarray, Path]:
    """Cut a stretch out of a random recording, from a random place on; a recording that ends starts over.

    Returns:
        The noise, (samples,) float32 at `sample_rate` and at the recording's level, and the file it is from.

    Raises:
        InvalidAudioError: A file cannot be read, or twenty stretches in a row were silent.
    """
    for _ in range(_TRIES):
        path = files[int(rng.integers(len(files)))]
        recording = load_waveform(path, sample_rate)
        stretch = cut(recording, samples, int(rng.integers(len(recording))))
        if np.sqrt(np.mean(np.square(stretch, dtype=np.float64))) > _SILENT_RMS:
            return stretch, path
    raise InvalidAudioError(
        f"noise: {_TRIES} stretches in a row were silent, the last of {path}; expected sound"
    )


def cut(recording: np.ndarray, samples: int, offset: int) -> np.ndarray:
    """Take `samples` samples of a recording (T,) from `offset` on; after the end it starts over.

    >>> cut(np.arange(4.0), 6, 3).tolist()
    [3.0, 0.0, 1.0, 2.0, 3.0, 0.0]
    """
    return recording[(offset + np.arange(samples)) % len(recording)]
