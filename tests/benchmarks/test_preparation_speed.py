"""Speed of preparing a corpus: 10,000 turns like those of SpokenWOZ, and whether twice as many take twice as long."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cse.testing.distributed import write_spokenwoz

pytestmark = pytest.mark.benchmark
TURNS = 36  # of a dialogue of SpokenWOZ, in the mean
LIMIT_S = 60.0
MAX_RATIO = 2.3


def prepare(script: Path, corpus: Path, output: Path) -> tuple[float, float]:
    """Seconds that the whole of prepare.py takes in one process: by the clock, and of the processor."""
    command = [sys.executable, script, "--corpus", corpus, "--output", output, "--engine", "serial"]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, used


def test_preparation_of_10_000_turns_is_quick_and_linear(repository: Path, tmp_path: Path, capsys):
    script = repository / "egs" / "spokenwoz" / "local" / "prepare.py"
    times = {}
    for turns in (5_000, 10_000):
        corpus, output = tmp_path / str(turns), tmp_path / f"{turns}-out" / "utterances.jsonl"
        dialogues = turns // TURNS
        write_spokenwoz(
            corpus,
            dialogues={"train": dialogues - dialogues // 4, "dev": dialogues // 8, "test": dialogues // 8},
            turns=TURNS,
            turn_s=0.3,
        )
        # the second time all stretches are there: transcripts, histories, headers of files and the manifest are left
        cutting = prepare(script, corpus, output)
        times[turns] = cutting, min(prepare(script, corpus, output) for _ in range(3))
        assert sum(1 for _ in output.open()) >= 0.98 * turns
    # of processor seconds, which other work on this machine does not lengthen
    ratios = [times[10_000][part][1] / times[5_000][part][1] for part in (0, 1)]
    with capsys.disabled():
        print("\npreparation of SpokenWOZ-like turns, one process: seconds by the clock (of the processor)")
        print("   turns      with cutting           without")
        for turns, parts in times.items():
            print(f"{turns:8d}" + "".join(f"{clock:9.1f} ({used:5.1f})" for clock, used in parts))
        print("   ratio" + "".join(f"{ratio:17.2f}" for ratio in ratios))
    assert times[10_000][1][0] < LIMIT_S
    assert max(ratios) < MAX_RATIO
