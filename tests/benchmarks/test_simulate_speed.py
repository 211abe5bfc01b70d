"""Rendering, as tables: mixtures a second and core, with the bank's cost beside it, and a pool against one process.

Other work on the machine is in all wall-clock times; the load is printed, and CPU time beside them.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest

from cse.engines.engine import Engine
from cse.engines.pool import Pool
from cse.engines.serial import Serial
from cse.testing.corpus import write_utterances
from simulate.bank_making import BankConfig, make_bank
from simulate.channel import ChannelConfig
from simulate.render import RenderConfig, render
from simulate.rooms import RoomConfig

pytestmark = pytest.mark.benchmark
ROOMS = RoomConfig(rt60_s=(0.2, 0.6))
RATE = 8000
MIXTURES = 200


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Utterances of 4 s by 8 talkers, by the sample rate of the files."""
    return {
        rate: write_utterances(
            tmp_path_factory.mktemp(f"speech{rate}"),
            talkers=8,
            dialogues=50,
            duration_s=4.0,
            sample_rate=rate,
        )
        for rate in (8000, 16000, 44100)
    }


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A bank of 50 rooms, and the seconds of CPU time that a room took."""
    folder = tmp_path_factory.mktemp("bank") / "rirs"
    started = time.process_time()
    make_bank(folder, BankConfig(rooms=ROOMS, sample_rate=RATE), count=50)
    return folder, (time.process_time() - started) / 50


def rendered(
    utterances: Path, output: Path, engine: Engine, mixtures: int, **options: object
) -> tuple[float, float]:
    """Wall-clock and CPU seconds of this process for one mixture."""
    defaults = {"sample_rate": RATE, "limit": mixtures, "min_history_turns": 0}
    config = RenderConfig(**{**defaults, **options})  # type: ignore[arg-type]
    wall, cpu = time.perf_counter(), time.process_time()
    render(utterances, output, config, engine=engine, progress=False)
    return (time.perf_counter() - wall) / mixtures, (time.process_time() - cpu) / mixtures


def test_mixtures_a_second(capsys, corpora, bank, tmp_path):
    folder, room_s = bank
    cases = [
        ("8 kHz files, bank", corpora[8000], {"bank": folder}),
        ("16 kHz files, bank", corpora[16000], {"bank": folder}),
        ("44.1 kHz files, bank", corpora[44100], {"bank": folder}),
        ("8 kHz files, bank, dry target", corpora[8000], {"bank": folder, "target": "dry"}),
        ("8 kHz files, no room", corpora[8000], {}),
        (
            "8 kHz files, bank, Opus",
            corpora[8000],
            {"bank": folder, "channel": ChannelConfig(opus_probability=1.0)},
        ),
        ("8 kHz files, rooms drawn anew", corpora[8000], {"rooms": ROOMS, "limit": 20}),
    ]
    rendered(corpora[16000], tmp_path / "warm", Serial(), 4, bank=folder)
    rows = []
    for number, (name, utterances, options) in enumerate(cases):
        mixtures = int(options.get("limit", MIXTURES))
        rows.append((name, *rendered(utterances, tmp_path / str(number), Serial(), mixtures, **options)))
    with capsys.disabled():
        print(f"\ntwo talkers of 4 s, {RATE} Hz, RT60 0.2 to 0.6 s, one core; load {os.getloadavg()[0]:.1f}")
        print(f"{'':32} {'a second':>9} {'a CPU second':>13}")
        for name, wall_s, cpu_s in rows:
            print(f"{name:32} {1 / wall_s:9.1f} {1 / cpu_s:13.1f}")
        print(f"{'a room of the bank':32} {'':9} {1 / room_s:13.1f}")
    assert 1 / rows[0][2] > 15


def test_pool_against_one_process(capsys, bank, tmp_path):
    """Ten times as many mixtures take longer by `many - few`, which leaves out what the start of processes takes."""
    folder, _ = bank
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    speech = write_utterances(tmp_path / "speech", talkers=8, dialogues=250, duration_s=4.0, sample_rate=RATE)
    few, many = 100, 1000
    rows = []
    for name, engine in (("one process", Serial()), (f"pool of {cores}", Pool(workers=cores))):
        spent = []
        for mixtures in (few, many):
            wall_s, cpu_s = time.perf_counter(), cpu_seconds()
            rendered(speech, tmp_path / f"{name}{mixtures}", engine, mixtures, bank=folder)
            spent.append((time.perf_counter() - wall_s, cpu_seconds() - cpu_s))
        wall_s, cpu_s = (after - before for before, after in zip(*spent, strict=True))
        rows.append((name, spent[0][0], (many - few) / wall_s, (many - few) / cpu_s))
    with capsys.disabled():
        print(f"\n{cores} cores, load {os.getloadavg()[0]:.1f}")
        print(f"{'':16} {f's for {few}':>9} {'then a second':>14} {'a CPU second':>13}")
        for name, start_s, a_second, a_cpu_second in rows:
            print(f"{name:16} {start_s:9.1f} {a_second:14.1f} {a_cpu_second:13.1f}")
        # what other work on the machine leaves of the second is what free cores would give
        print(f"ratio {rows[1][2] / rows[0][2]:.2f}; on free cores {cores * rows[1][3] / rows[0][3]:.2f}")


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started and that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)
