"""Time and memory of reading a large corpus: 100,000 utterances with 20 turns before each, on average: `make bench`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark
DIALOGUES, TURNS = 2440, 41
ROUNDS = 2
READ = """
import sys, time
import cse.manifest, cse.manifest_fields
def held_mb():
    status = open("/proc/self/status").read()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
if sys.argv[2] == "apart":
    cse.manifest.SharedTurns = lambda: cse.manifest_fields.history
before, started = held_mb(), time.process_time()
utterances = cse.manifest.read_utterances(sys.argv[1])
print(len(utterances), time.process_time() - started, held_mb() - before)
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    words = "we could meet near the old bridge after lunch and walk along the river".split()
    with (folder / "utterances.jsonl").open("w") as file:
        for dialogue in range(DIALOGUES):
            history: list[dict[str, str]] = []
            for turn in range(TURNS):
                name = f"{dialogue}-{turn}"
                (folder / f"{name}.wav").touch()
                speaker, text = f"s{dialogue % 200}-{turn % 2}", f"{name} {' '.join(words[turn % 5 :])}"
                line = {
                    "id": name, "audio": f"{name}.wav", "speaker": speaker, "duration_s": 3.0, "sample_rate": 8000,
                    "text": text, "dialogue": str(dialogue), "history": history, "split": "train",
                }  # fmt: skip
                file.write(json.dumps(line) + "\n")
                history.append({"speaker": speaker, "text": text})
    return folder / "utterances.jsonl"


def test_reading_a_large_corpus(manifest, capsys):
    found: dict[str, list[tuple[float, ...]]] = {"apart": [], "shared": []}
    for _ in range(ROUNDS):
        for how, rows in found.items():
            read = [sys.executable, "-c", READ, str(manifest), how]
            output = subprocess.run(read, capture_output=True, check=True, text=True).stdout
            rows.append(tuple(map(float, output.split())))
    (count, apart_s, apart_mb), (_, shared_s, shared_mb) = (min(rows) for rows in found.values())
    with capsys.disabled():
        print(f"\n{count:.0f} utterances with {(TURNS - 1) / 2:.0f} turns before each: processor seconds, MB")
        print(f"each history by itself {apart_s:6.1f} {apart_mb:6.0f}")
        print(f"equal turns shared     {shared_s:6.1f} {shared_mb:6.0f}")
    assert shared_mb < 0.6 * apart_mb
    assert shared_s < apart_s
