"""A bank of rooms: impulse responses that were made once and are read many times.

Layout of a bank's folder, as `simulate.bank_making` writes it:

    rirs.json    options it was made from
    rirs.npy     all impulse responses one after the other: (N,) float16
    rirs.jsonl   one line a room: where its samples are, geometry, RT60 asked and measured; last to appear

Of every room the direct, the early and the reverberant part are kept, each (S, M, T) and cut where nothing
follows any more, so the first two cost little. Float16 keeps 11 bits of every sample wherever it is in the
decay: the rounding lies 70 dB below the sample, not below the peak.

The split of a room is a function of its index, so no room of one split is ever found in another, however long
a bank is made.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from cse.errors import ConfigError
from simulate.ray_tracing import Rays
from simulate.rirs import Rirs
from simulate.rooms import Room

SETTINGS, SAMPLES, RECORDS = "rirs.json", "rirs.npy", "rirs.jsonl"
FORMAT = 1
PARTS = ("direct", "early", "reverberant")
Split = Literal["train", "dev", "test"]


def split_of(index: int) -> Split:
    """The split of a bank's room: of every ten, the first eight are for training.

    >>> [split_of(index) for index in (0, 7, 8, 9, 10)]
    ['train', 'train', 'dev', 'test', 'train']
    """
    place = index % 10
    return "train" if place < 8 else "dev" if place == 8 else "test"


@dataclass(frozen=True)
class BankedRoom:
    """A room whose impulse responses lie in a bank.

    Attributes:
        index: Its number in the whole bank.
        room: Its geometry and its absorption.
        measured_rt60_s: Reverberation time of the impulse response from each talker to the reference microphone.
    """

    index: int
    room: Room
    measured_rt60_s: tuple[float, ...]
    _sample_rate: int
    _samples: np.ndarray
    _shapes: dict[str, tuple[int, int, int]]

    @property
    def rt60_s(self) -> float:
        """Reverberation time that was asked for."""
        return self.room.rt60_s

    @property
    def talkers(self) -> int:
        """Talkers in the room, S."""
        return len(self.room.talkers_m)

    def rirs(self, sample_rate: int) -> Rirs:
        """Read the impulse responses from every talker to every microphone.

        Raises:
            ConfigError: The bank has another sample rate.
        """
        _check_rate(sample_rate, self._sample_rate)
        parts = np.zeros(
            (len(PARTS), *np.max(list(self._shapes.values()), axis=0)), dtype=np.float32
        )  # each part as long as the longest, so that they add up
        start = 0
        for number, name in enumerate(PARTS):
            shape = self._shapes[name]
            end = start + math.prod(shape)
            parts[number, ..., : shape[-1]] = self._samples[start:end].reshape(shape)
            start = end
        direct, early, reverberant = parts
        return Rirs(direct, early, reverberant, sample_rate)


class RirBank:
    """Rooms of one split of a bank, read as they are asked for.

    Nothing is read before a room is asked for; a copy sent to another process (a data-loader worker) maps the
    files itself.

    Attributes:
        folder: Where it lies.
        split: The rooms in it; None stands for all.
        sample_rate: In Hz.
        talkers: Talkers in every room, S.
        microphones: Microphones in every room, M.
    """

    def __init__(
        self, *, folder: Path, split: Split | None, sample_rate: int, talkers: int, microphones: int
    ) -> None:
        self.folder = folder
        self.split = split
        self.sample_rate = sample_rate
        self.talkers = talkers
        self.microphones = microphones
        self._open()

    @classmethod
    def load(cls, folder: str | os.PathLike[str], *, split: Split | None = None) -> RirBank:
        """Open a bank.

        Args:
            folder: Where `cse rirs` made it.
            split: Take the rooms of train, dev or test only; None takes all.

        Raises:
            ConfigError: It is no bank, an unfinished or a damaged one, or has no room in this split.
        """
        if split is not None and split not in get_args(Split):
            raise ConfigError(f"split: got {split!r}, expected one of {', '.join(get_args(Split))}")
        place = Path(folder)
        settings = _settings(place)
        bank = cls(
            folder=place,
            split=split,
            sample_rate=settings["sample_rate"],
            talkers=settings["talkers"],
            microphones=settings["rooms"]["microphones"],
        )
        if not len(bank):
            raise ConfigError(
                f"bank {place}: none of its {len(bank._lines)} rooms is in split {split!r};"
                " make ten rooms or more"
            )
        return bank

    def __len__(self) -> int:
        return len(self._indices)

    def room(self, index: int) -> BankedRoom:
        """Room `index` of the split, from 0 on.

        Raises:
            IndexError: There are not so many rooms.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"bank {self.folder}: got room {index}, expected 0 to {len(self) - 1}")
        number = int(self._indices[index])
        record = self._record(number)
        return BankedRoom(
            index=number,
            room=_room(record["room"]),
            measured_rt60_s=tuple(record["measured_rt60_s"]),
            _sample_rate=self.sample_rate,
            _samples=self._samples[record["start"] : _end(record)],
            _shapes={name: tuple(shape) for name, shape in record["shapes"].items()},
        )

    def check(self, *, sample_rate: int, talkers: int = 1) -> None:
        """Raise a `ConfigError` unless the rooms have this sample rate and so many talkers, before work starts."""
        _check_rate(sample_rate, self.sample_rate)
        if talkers > self.talkers:
            raise ConfigError(
                f"bank {self.folder}: got rooms of {self.talkers} talkers, expected {talkers} or more, one of them for"
                f" the noise where noise.in_room puts it there; make one with talkers={talkers}"
            )

    def _record(self, number: int) -> dict[str, Any]:
        start = 0 if number == 0 else int(self._lines[number - 1])
        record: dict[str, Any] = json.loads(bytes(self._text[start : self._lines[number]]))
        return record

    def _open(self) -> None:
        """Map the files: nothing of them is in memory until it is read."""
        try:
            # views of the same maps: np.memmap itself is slow to cut
            self._samples = np.asarray(np.load(self.folder / SAMPLES, mmap_mode="r", allow_pickle=False))
            self._text = np.asarray(np.memmap(self.folder / RECORDS, dtype=np.uint8, mode="r"))
            self._lines = np.flatnonzero(self._text == ord("\n")) + 1
            whole = _end(self._record(len(self._lines) - 1)) == len(self._samples)
        except (OSError, ValueError, LookupError, TypeError):
            whole = False
        if not whole:
            raise ConfigError(
                f"bank {self.folder}: {SAMPLES} and {RECORDS} do not belong together or are damaged;"
                " delete the folder and make it again with cse rirs"
            )
        numbers = np.arange(len(self._lines))
        wanted = [self.split in (None, split_of(place)) for place in range(10)]
        self._indices = numbers[np.asarray(wanted)[numbers % 10]]

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()


def _room(fields: dict[str, Any]) -> Room:
    points = {name: tuple(map(tuple, fields[name])) for name in ("talkers_m", "microphones_m")}
    rays = fields["rays"] and Rays(**fields["rays"])
    return Room(**{**fields, **points, "size_m": tuple(fields["size_m"]), "rays": rays})


def _end(record: dict[str, Any]) -> int:
    """Where the samples of a room end."""
    return int(record["start"]) + sum(math.prod(shape) for shape in record["shapes"].values())


def _check_rate(wanted: int, got: int) -> None:
    if wanted != got:
        raise ConfigError(
            f"bank: got impulse responses at {got} Hz, expected {wanted} Hz; make a bank of that rate"
        )


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    if not path.is_file():
        raise ConfigError(f"bank {folder}: no {SETTINGS} in it, expected a folder made by cse rirs")
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = settings["format"] == FORMAT
    except (ValueError, LookupError, TypeError):
        known = False
    if not known:
        raise ConfigError(
            f"bank {path}: got another format, expected {FORMAT}; make the bank again with cse rirs"
        )
    if not (folder / RECORDS).is_file():
        raise ConfigError(
            f"bank {folder}: it is not finished; run cse rirs on it again with the same options, which goes on"
            " where it stopped"
        )
    return settings
