"""Banks of rooms: same bytes whatever happens while they are made, disjoint splits, plain reading."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cse.engines.pool import Pool
from cse.errors import ConfigError, CseError
from simulate.bank import RirBank, split_of
from simulate.bank_making import BankConfig, MadeRoom, make_bank, make_room
from simulate.rooms import SPEED_OF_SOUND_M_PER_S, RoomConfig

pytest.importorskip("pyroomacoustics")

ROOMS = RoomConfig(rt60_s=(0.15, 0.25), length_m=(3.0, 4.0), width_m=(3.0, 4.0), distance_m=(0.5, 1.5))
CONFIG = BankConfig(rooms=ROOMS, sample_rate=8000)
COUNT = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of twenty small rooms. Read only."""
    place = tmp_path_factory.mktemp("bank") / "rirs"
    make_bank(place, CONFIG, count=COUNT, progress=False)
    return place


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_rooms_come_back_as_they_were_made(folder: Path) -> None:
    bank = RirBank.load(folder)
    assert (len(bank), bank.talkers, bank.microphones, bank.sample_rate) == (COUNT, 2, 1, 8000)
    for index in (0, 13):
        read = bank.room(index)
        rirs, made = read.rirs(8000), read.room.rirs(8000)
        assert (read.index, read.talkers) == (index, 2)
        for name in ("direct", "early", "reverberant"):
            part, expected = getattr(rirs, name), getattr(made, name)
            assert part.dtype == np.float32
            assert part.shape == rirs.reverberant.shape
            expected = expected[..., : part.shape[-1]]
            # rounded to 11 bits; what is 100 dB below the peak may be cut off at the end
            np.testing.assert_allclose(part, expected, rtol=2**-11, atol=1.1e-5 * np.abs(expected).max())


def test_direct_path_and_rt60_are_those_of_the_record(folder: Path) -> None:
    bank = RirBank.load(folder)
    for room in map(bank.room, range(len(bank))):
        direct = room.rirs(8000).direct
        for talker, distance_m in enumerate(room.room.distances_m()[:, 0]):
            delay = distance_m / SPEED_OF_SOUND_M_PER_S * 8000
            assert abs(np.argmax(direct[talker, 0]) - delay) <= 0.6
        assert ROOMS.rt60_s[0] <= room.rt60_s <= ROOMS.rt60_s[1]
        assert all(abs(measured / room.rt60_s - 1) < 0.2 for measured in room.measured_rt60_s)


def test_splits_have_no_room_in_common(folder: Path) -> None:
    seen: dict[Any, str] = {}
    total = 0
    for split in ("train", "dev", "test"):
        bank = RirBank.load(folder, split=split)  # type: ignore[arg-type]
        total += len(bank)
        for room in map(bank.room, range(len(bank))):
            assert split_of(room.index) == split
            assert seen.setdefault(room.room, split) == split
    assert total == len(seen) == COUNT
    assert len(RirBank.load(folder, split="train")) == 16


def test_split_does_not_change_when_a_bank_grows(folder: Path, tmp_path: Path) -> None:
    make_bank(tmp_path, CONFIG, count=12, progress=False)
    before = RirBank.load(tmp_path, split="test").room(0)
    make_bank(tmp_path, CONFIG, count=COUNT, progress=False)
    assert RirBank.load(tmp_path, split="test").room(0).room == before.room
    assert _bytes(tmp_path) == _bytes(folder)  # the same as made at once
    make_bank(tmp_path, CONFIG, count=5, progress=False)
    assert len(RirBank.load(tmp_path)) == COUNT


def test_bank_goes_on_after_a_kill(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from simulate.bank_making import *; from simulate.rooms import RoomConfig;"
        f" make_bank(sys.argv[1], {CONFIG!r}, count=400, progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    partial = tmp_path / "rirs.jsonl.partial"
    try:
        while not (partial.is_file() and partial.read_bytes().count(b"\n") >= 3):
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with pytest.raises(ConfigError, match="not finished; run cse rirs on it again with the same options"):
        RirBank.load(tmp_path)
    # as if killed in the middle of a write
    with (tmp_path / "rirs.npy").open("ab") as samples, partial.open("ab") as records:
        samples.write(b"half a room")
        records.write(b'{"index": 3, "sta')
    made: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "simulate.bank_making.make_room",
            lambda index, config: made.append(index) or make_room(index, config),
        )
        make_bank(tmp_path, CONFIG, count=COUNT, progress=False)
    assert made == list(range(COUNT - len(made), COUNT)) and len(made) <= COUNT - 3
    assert _bytes(tmp_path) == _bytes(folder)


def test_same_bytes_by_a_pool_of_processes(folder: Path, tmp_path: Path) -> None:
    make_bank(tmp_path, CONFIG, count=COUNT, engine=Pool(workers=2), progress=False)
    assert _bytes(tmp_path) == _bytes(folder)


def test_error_names_the_room(tmp_path: Path) -> None:
    config = BankConfig(rooms=replace(ROOMS, rt60_s=(0.01, 0.01)), sample_rate=8000)
    with pytest.raises(ConfigError, match="^room 0: rooms.rt60_s: none of 200 rooms"):
        make_bank(tmp_path, config, count=3, progress=False)
    assert not (tmp_path / "rirs.jsonl").exists()


def test_traced_rooms_are_read_with_their_rays(tmp_path: Path) -> None:
    config = BankConfig(rooms=replace(ROOMS, late="ray_tracing"), sample_rate=8000)
    read = make_bank(tmp_path, config, count=1, progress=False).room(0)
    assert read.room.rays is not None and read.room.rays.scattering == ROOMS.scattering
    again = read.room.rirs(8000).reverberant
    got = read.rirs(8000).reverberant
    np.testing.assert_allclose(got, again[..., : got.shape[-1]], rtol=2**-11, atol=1e-5 * again.max())


def test_damaged_room_is_made_again(folder: Path, tmp_path: Path) -> None:
    make_bank(tmp_path, CONFIG, count=6, progress=False)
    os.replace(tmp_path / "rirs.jsonl", tmp_path / "rirs.jsonl.partial")
    start = json.loads((tmp_path / "rirs.jsonl.partial").read_text().splitlines()[4])["start"]
    with (tmp_path / "rirs.npy").open("r+b") as samples:
        samples.seek(128 + 2 * start)
        samples.write(b"\xff\xff")
    make_bank(tmp_path, CONFIG, count=COUNT, progress=False)
    assert _bytes(tmp_path) == _bytes(folder)


def test_finished_bank_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bank(tmp_path, CONFIG, count=2, progress=False)
    monkeypatch.setattr("simulate.bank_making.make_room", None)
    make_bank(tmp_path, CONFIG, count=2, progress=False)


def test_bank_reads_in_other_processes(folder: Path) -> None:
    from torch.utils.data import DataLoader, Dataset

    bank = RirBank.load(folder, split="train")
    assert len(pickle.dumps(bank)) < 1000

    class Peaks(Dataset[float]):
        def __len__(self) -> int:
            return len(bank)

        def __getitem__(self, index: int) -> float:
            return float(bank.room(index).rirs(8000).direct.max())

    peaks = [float(bank.room(index).rirs(8000).direct.max()) for index in range(len(bank))]
    assert list(DataLoader(Peaks(), batch_size=None, num_workers=2)) == peaks
    copy = pickle.loads(pickle.dumps(bank))
    assert float(copy.room(3).rirs(8000).direct.max()) == peaks[3]


def test_microphones_and_talkers(tmp_path: Path) -> None:
    config = BankConfig(rooms=replace(ROOMS, microphones=3), sample_rate=16000, talkers=1)
    bank = make_bank(tmp_path, config, count=1, progress=False)
    assert bank.room(0).rirs(16000).early.shape[:2] == (1, 3)
    assert len(bank.room(0).measured_rt60_s) == 1


# ---- bad input


def test_wrong_rate_or_too_few_talkers(folder: Path) -> None:
    bank = RirBank.load(folder)
    with pytest.raises(ConfigError, match="got impulse responses at 8000 Hz, expected 16000 Hz"):
        bank.room(0).rirs(16000)
    with pytest.raises(ConfigError, match="at 8000 Hz, expected 16000 Hz"):
        bank.check(sample_rate=16000)
    with pytest.raises(
        ConfigError, match="rooms of 2 talkers, expected 3 or more, .*; make one with talkers=3"
    ):
        bank.check(sample_rate=8000, talkers=3)
    bank.check(sample_rate=8000, talkers=2)
    with pytest.raises(IndexError, match="got room 20, expected 0 to 19"):
        bank.room(20)


def test_other_options_are_refused(folder: Path) -> None:
    other = BankConfig(rooms=ROOMS, sample_rate=16000, seed=3)
    with pytest.raises(
        ConfigError, match="holds rooms made with other values of sample_rate, seed; delete it"
    ):
        make_bank(folder, other, count=2, progress=False)


def test_what_is_no_bank(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rirs.json in it, expected a folder made by cse rirs"):
        RirBank.load(tmp_path)
    with pytest.raises(ConfigError, match="split: got 'valid', expected one of train, dev, test"):
        RirBank.load(folder, split="valid")  # type: ignore[arg-type]
    for name, content in _bytes(folder).items():
        (tmp_path / name).write_bytes(content[:-100] if name == "rirs.npy" else content)
    with pytest.raises(ConfigError, match="do not belong together or are damaged"):
        RirBank.load(tmp_path)
    (tmp_path / "rirs.json").write_text('{"format": 0}')
    with pytest.raises(ConfigError, match="another format, expected 1"):
        RirBank.load(tmp_path)


def test_split_without_a_room(tmp_path: Path) -> None:
    make_bank(tmp_path, CONFIG, count=1, progress=False)
    with pytest.raises(ConfigError, match="none of its 1 rooms is in split 'dev'; make ten rooms or more"):
        RirBank.load(tmp_path, split="dev")


def test_two_at_once(tmp_path: Path) -> None:
    import fcntl

    make_bank(tmp_path, CONFIG, count=1, progress=False)
    with (tmp_path / "rirs.npy").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process is making this bank"):
            make_bank(tmp_path, CONFIG, count=2, progress=False)


def test_what_lies_in_the_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "rirs.npy").write_bytes(b"measured in a real room")
    with pytest.raises(ConfigError, match="holds a rirs.npy that is no bank's; name another folder"):
        make_bank(tmp_path, CONFIG, count=1, progress=False)
    assert (tmp_path / "rirs.npy").read_bytes() == b"measured in a real room"


def test_full_disk_is_one_line_and_gone_on_from(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(index: int, config: BankConfig) -> MadeRoom:
        if index == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return make_room(index, config)

    monkeypatch.setattr("simulate.bank_making.make_room", full)
    with pytest.raises(CseError, match="cannot write: No space left on device; make room, then run it again"):
        make_bank(tmp_path, CONFIG, count=COUNT, progress=False)
    monkeypatch.undo()
    make_bank(tmp_path, CONFIG, count=COUNT, progress=False)
    assert _bytes(tmp_path) == _bytes(folder)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"talkers": 0}, "talkers: got 0, expected 1 or more"),
        ({"sample_rate": 800}, "sample_rate: got 800, expected 4000 or more"),
        ({"seed": -1}, "seed: got -1"),
    ],
)
def test_wrong_options_say_so(options: dict[str, int], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        BankConfig(rooms=ROOMS, **options)  # type: ignore[arg-type]


# ---- the command


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cse.cli import main

    command = ["rirs", f"output={tmp_path}/bank", "count=2", "sample_rate=8000", "talkers=1", "engine=serial"]
    assert main([*command, "rooms.rt60_s=[0.15,0.2]", "rooms.length_m=[3,4]"]) == 0
    assert capsys.readouterr().out.strip() == f"{tmp_path}/bank"
    assert len(RirBank.load(tmp_path / "bank")) == 2


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("rooms.rt60=[0.2,0.3]", "did you mean rooms.rt60_s?"),
        ("count=many", "count: got many, expected a whole number"),
        ("count=0", "count: got 0, expected 1 or more"),
        ("seed=0", "rooms.rt60_s is missing"),
        ("rooms.rt60_s=[0.6,0.2]", "rooms.rt60_s: got [0.6, 0.2], expected [lowest, highest]"),
        (
            "ray_address=ray://host:10001",
            "got the address ray://host:10001 for the engine serial, expected none",
        ),
    ],
)
def test_wrong_overrides_end_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, says: str
) -> None:
    from cse.cli import main

    given = (
        ["count=1", override] if not override.startswith("count") else [override, "rooms.rt60_s=[0.2,0.3]"]
    )
    assert main(["rirs", f"output={tmp_path}/bank", *given]) == 2
    printed = capsys.readouterr()
    assert says in printed.err and printed.err.count("\n") == 1
    assert not (tmp_path / "bank").exists()
