"""`cse extract` on an hour: memory that has a bound, and the pace of a minute. Run by `make bench`.

CSE_BENCH_MINUTES sets another length than 60 for the long recordings.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.audio import resample
from cse.testing.flite import flite_available, synthesize

pytestmark = pytest.mark.benchmark

MINUTES = float(os.environ.get("CSE_BENCH_MINUTES", "60"))
LIMIT_MB = 1500
SENTENCES = {
    "rms": "I will book a table at the Italian restaurant for dinner at seven, and then we can walk home.",
    "slt": "The football team lost the game because the goalkeeper was injured, so nobody was happy about it.",
}
MEASURED = """
import re, resource, sys
from pathlib import Path
from cse.cli import main
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
# ru_maxrss would begin at the memory of the process that started this one
if sys.platform == "linux":
    peak_kb = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
else:
    peak_kb = used.ru_maxrss
print(peak_kb / 1024, used.ru_utime + used.ru_stime, file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True)
class Run:
    """What one command took."""

    peak_mb: float
    processor_s: float
    result: dict


def write_conversation(path: Path, minutes: float, sample_rate: int, channels: int) -> None:
    """Two people who talk at once and in turns, with pauses, the same minute again and again."""
    if not flite_available():
        pytest.skip("needs the program flite")
    minute = np.zeros(60 * 16000, np.float32)
    for voice, begins_s in (("rms", (1, 16, 23, 44)), ("slt", (3, 10, 30, 46))):
        speech = synthesize(SENTENCES[voice], voice=voice, sample_rate=16000)
        for begin_s in begins_s:
            minute[begin_s * 16000 :][: len(speech)] += 0.3 * speech / np.abs(speech).max()
    minute += 1e-4 * np.random.default_rng(0).standard_normal(len(minute)).astype(np.float32)
    block = np.repeat(resample(minute, 16000, sample_rate)[:, None], channels, axis=1)
    form = {"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}
    with soundfile.SoundFile(path, "w", samplerate=sample_rate, channels=channels, **form) as file:
        for _ in range(round(minutes)):
            for part in np.array_split(block, 60):
                file.write(part)


def extract(audio: Path, output: Path, history: Path) -> Run:
    arguments = ["extract", str(audio), "--history", str(history), "-o", str(output), "--json"]
    finished = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments, "--on-absent", "passthrough"],
        capture_output=True,
        text=True,
        check=True,
    )
    peak_mb, processor_s = map(float, finished.stderr.splitlines()[-1].split())
    return Run(peak_mb=peak_mb, processor_s=processor_s, result=json.loads(finished.stdout))


@pytest.mark.parametrize(
    ("suffix", "sample_rate", "channels"), [("wav", 16000, 1), ("wav", 48000, 2), ("opus", 48000, 2)]
)
def test_an_hour_has_bounded_memory_and_the_pace_of_a_minute(capsys, tmp_path, suffix, sample_rate, channels):
    history = tmp_path / "chat.txt"
    history.write_text("Ana: Where shall we have dinner?\nBen: Shall I book a table at the restaurant?\n")
    runs = {}
    for minutes in (1, MINUTES):
        audio = tmp_path / f"long.{suffix}"
        write_conversation(audio, minutes, sample_rate, channels)
        output = tmp_path / f"voice.{suffix}"
        runs[minutes] = extract(audio, output, history)
        assert soundfile.info(output).frames == soundfile.info(audio).frames
        audio.unlink()
    with capsys.disabled():
        print(
            f"\n{suffix}, {sample_rate} Hz, {channels} channels, {os.environ.get('OMP_NUM_THREADS', '?')} threads"
        )
        print("minutes  peak MB  real-time factor  processor s, with start  talkers")
        for minutes, run in runs.items():
            factor = run.result["real_time_factor"]
            print(
                f"{minutes:7g} {run.peak_mb:8.0f} {factor:17.3f} {run.processor_s:24.0f} {run.result['talkers']:8d}"
            )
    assert runs[MINUTES].peak_mb < LIMIT_MB
