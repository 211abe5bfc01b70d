"""What a bank of rooms costs to make and to read: `make bench`. Nothing fails for being slow; reading must be exact.

Two talkers and one microphone at 8 kHz with an RT60 of 0.2 to 0.6 s, one process. Times are of the processor, because
making a room is arithmetic alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simulate.bank import RirBank
from simulate.bank_making import BankConfig, make_bank
from simulate.rooms import Late, RoomConfig

pytest.importorskip("pyroomacoustics")
pytestmark = pytest.mark.benchmark

ROOMS = 60
READS = 2000


def processor_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


@pytest.mark.parametrize("late", ["images", "ray_tracing"])
def test_bank(late: Late, tmp_path: Path) -> None:
    rooms = RoomConfig(rt60_s=(0.2, 0.6), late=late)
    config = BankConfig(rooms=rooms, sample_rate=8000)
    make_bank(tmp_path / "warm", config, count=1, progress=False)
    making_s = processor_s(lambda: make_bank(tmp_path / "bank", config, count=ROOMS, progress=False)) / ROOMS
    loading_s = processor_s(lambda: RirBank.load(tmp_path / "bank"))
    bank = RirBank.load(tmp_path / "bank")
    order = np.random.default_rng(0).integers(len(bank), size=READS)
    reading_s = processor_s(lambda: [bank.room(int(index)).rirs(8000) for index in order]) / READS
    size = sum(path.stat().st_size for path in (tmp_path / "bank").iterdir()) / ROOMS
    off = [
        abs(measured / room.rt60_s - 1)
        for room in map(bank.room, range(len(bank)))
        for measured in room.measured_rt60_s
    ]
    print(
        f"\nbank of {late}: {1000 * making_s:.0f} ms a room to make, {1e6 * reading_s:.0f} us to read"
        f" ({making_s / reading_s:.0f} times as quick), {size / 1000:.0f} kB a room, opened in"
        f" {1000 * loading_s:.1f} ms; RT60 off by {100 * np.median(off):.1f} % (median), {100 * max(off):.1f} % at most"
    )
    assert reading_s < making_s
