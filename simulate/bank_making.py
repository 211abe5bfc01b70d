"""Making a bank of rooms: one room after the other behind the last, and on from there after an interruption.

Room `index` is a function of (options, seed, index) alone, and rooms are written in their order by one process, so
the bytes of a bank depend neither on the engine nor on how often it was interrupted. The records are called
`rirs.jsonl.partial` until all rooms are there.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from cse.engines.engine import Engine
from cse.engines.serial import Serial
from cse.errors import ConfigError, CseError, one_line
from simulate.bank import FORMAT, PARTS, RECORDS, SAMPLES, SETTINGS, RirBank, split_of
from simulate.decay import measured_rt60_s
from simulate.rooms import RoomConfig, sample_room
from simulate.settings import claim_folder

_PARTIAL = f"{RECORDS}.partial"
_STREAM = 0x524952  # of random numbers: no room of a bank is one that a rendered mixture draws for itself
_DTYPE = np.dtype("<f2")
_NOTHING = 1e-5  # of a part's peak, -100 dB: what is weaker at its end is cut off
_HEADER_BYTES = 128


@dataclass(frozen=True, kw_only=True)
class BankConfig:
    """What the rooms of a bank are made of.

    Attributes:
        rooms: Ranges that they are drawn from.
        talkers: Talkers in a room; a mixture of fewer takes the first ones.
        sample_rate: Of the impulse responses, in Hz.
        seed: Rooms of different seeds have nothing in common.

    Raises:
        ConfigError: A value out of its range.
    """

    rooms: RoomConfig
    talkers: int = 2
    sample_rate: int = 16000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("talkers", 1), ("sample_rate", 4000), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected {least} or more")


@dataclass(frozen=True)
class MadeRoom:
    """A room on its way into a bank: its record, and its impulse responses one after the other (N,) float16."""

    record: dict[str, Any]
    samples: np.ndarray


def make_room(index: int, config: BankConfig) -> MadeRoom:
    """Draw room `index` of a bank and compute its impulse responses; a function of its arguments, wherever it runs.

    Raises:
        ConfigError: No room within the ranges fits.
        MissingExtraError: pyroomacoustics is not installed.
    """
    rng = np.random.default_rng((_STREAM, config.seed, index))
    room = sample_room(config.rooms, rng, talkers=config.talkers)
    rirs = room.rirs(config.sample_rate)
    parts = {name: _trimmed(getattr(rirs, name)) for name in PARTS}
    measured = [measured_rt60_s(rir, config.sample_rate) for rir in rirs.reverberant[:, 0]]
    samples = np.concatenate([part.ravel() for part in parts.values()])
    record = {
        "index": index,
        "split": split_of(index),
        "rt60_s": room.rt60_s,
        "measured_rt60_s": [round(rt60_s, 4) for rt60_s in measured],
        "room": asdict(room),
        "shapes": {name: part.shape for name, part in parts.items()},
        "crc32": zlib.crc32(samples.tobytes()),
    }
    return MadeRoom(record, samples)


def make_bank(
    folder: str | os.PathLike[str],
    config: BankConfig,
    *,
    count: int,
    engine: Engine | None = None,
    progress: bool = True,
) -> RirBank:
    """Make a bank of `count` rooms; rooms that are already in `folder` are kept.

    Args:
        folder: Made where it does not exist.
        config: What to make.
        count: How many rooms. A bank that has more is left as it is; one that has fewer is made longer.
        engine: Where rooms are computed; None is this process.
        progress: Show a bar on stderr.

    Raises:
        ConfigError: The folder holds a bank of other options or a file of that name, or another process is making
            it; or no room is to be had.
        CseError: The folder cannot be written to.
    """
    if count < 1:
        raise ConfigError(f"count: got {count}, expected 1 or more")
    place = Path(folder)
    if (place / SAMPLES).exists() and not (place / SETTINGS).exists():
        raise ConfigError(f"output {place}: holds a {SAMPLES} that is no bank's; name another folder")
    settings = json.loads(json.dumps({"format": FORMAT, **asdict(config)}))
    claim_folder(place, SETTINGS, settings, holds="rooms")
    if not (place / RECORDS).is_file() or len(RirBank.load(place)) < count:
        with _writer(place) as writer:
            made = (engine or Serial()).map(
                partial(make_room, config=config), range(writer.rooms, count), name="room {}".format
            )
            bar = tqdm(
                made, desc="rirs", unit="room", initial=writer.rooms, total=count, disable=not progress
            )
            for room in bar:
                writer.add(room)
            writer.finish()
    return RirBank.load(place)


class _Writer:
    """Appends rooms to the two files of a bank."""

    def __init__(self, folder: Path, samples: BinaryIO, records: BinaryIO) -> None:
        self._folder, self._samples, self._records = folder, samples, records
        self.rooms, self._written = self._resume()

    def add(self, room: MadeRoom) -> None:
        # the samples before the record: a record that is there has its samples
        self._samples.write(room.samples.astype(_DTYPE).tobytes())
        self._samples.flush()
        record = {**room.record, "start": self._written}
        self._records.write((json.dumps(record) + "\n").encode())
        self._records.flush()
        self.rooms += 1
        self._written += len(room.samples)

    def finish(self) -> None:
        """Note the number of samples in the header; the bank is there once its records have their name."""
        _write_header(self._samples, self._written)
        for stream in (self._samples, self._records):
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(self._folder / _PARTIAL, self._folder / RECORDS)

    def _resume(self) -> tuple[int, int]:
        """Keep the rooms that are whole, cut off what is behind them: how many rooms and samples there are."""
        if self._samples.seek(0, os.SEEK_END) < _HEADER_BYTES:
            _write_header(self._samples, 0)
        self._samples.seek(_HEADER_BYTES)
        self._records.seek(0)
        rooms = written = kept_bytes = 0
        for line in self._records:
            count = _whole(line, rooms, written, self._samples)
            if count is None:
                break
            rooms, written, kept_bytes = rooms + 1, written + count, kept_bytes + len(line)
        for stream, size in (
            (self._samples, _HEADER_BYTES + written * _DTYPE.itemsize),
            (self._records, kept_bytes),
        ):
            stream.truncate(size)
            stream.seek(size)
        return rooms, written


@contextmanager
def _writer(folder: Path) -> Iterator[_Writer]:
    import fcntl

    try:
        if (folder / RECORDS).is_file():  # a finished bank that is made longer
            os.replace(folder / RECORDS, folder / _PARTIAL)
        for name in (SAMPLES, _PARTIAL):
            (folder / name).touch()
        with (folder / SAMPLES).open("r+b") as samples, (folder / _PARTIAL).open("r+b") as records:
            try:
                fcntl.flock(samples, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(
                    f"output {folder}: another process is making this bank; wait for it"
                ) from error
            yield _Writer(folder, samples, records)
    except OSError as error:  # a full disk: what was written is kept, and gone on from
        raise CseError(
            f"output {folder}: cannot write: {one_line(error)}; make room, then run it again"
        ) from error


def _whole(line: bytes, rooms: int, written: int, samples: BinaryIO) -> int | None:
    """How many samples the room of this record has; None where the record or its samples are not whole."""
    try:
        record = json.loads(line)
        count = sum(math.prod(shape) for shape in record["shapes"].values())
        expected = (rooms, written, record["crc32"])
        got = (record["index"], record["start"], zlib.crc32(samples.read(count * _DTYPE.itemsize)))
    except (ValueError, LookupError, TypeError):
        return None
    return count if line.endswith(b"\n") and got == expected else None


def _write_header(stream: BinaryIO, samples: int) -> None:
    """The header of a .npy file, which numpy keeps at one size whatever the number of samples."""
    stream.seek(0)
    header = {"descr": _DTYPE.str, "fortran_order": False, "shape": (samples,)}
    np.lib.format.write_array_header_1_0(stream, header)
    assert stream.tell() == _HEADER_BYTES


def _trimmed(part: np.ndarray) -> np.ndarray:
    """A part (S, M, T) without what is next to nothing at its end, float16."""
    heard = np.max(np.abs(part), axis=(0, 1))
    return part[..., : np.flatnonzero(heard > _NOTHING * heard.max())[-1] + 1].astype(_DTYPE)
