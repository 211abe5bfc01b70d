"""Speed and memory, as tables: `make bench`. Nothing fails for being slow; ratios within one run are what counts."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from cse.building import instantiate
from cse.checkpoint import DEFAULT_MODEL, load_checkpoint, load_state
from cse.manifest import read_utterances
from cse.models.windows import separate_in_windows
from cse.testing.corpus import write_utterances
from cse.training.mixtures import DynamicMixtures, MixingConfig
from cse.training.waveform_cache import WaveformCache

pytestmark = pytest.mark.benchmark
LENGTHS_S = (4, 16, 60)


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Median wall-clock time of one call, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def packaged_separator() -> torch.nn.Module:
    checkpoint = load_checkpoint(DEFAULT_MODEL)
    separator = instantiate(checkpoint.config["model"])
    load_state(separator, checkpoint.state)
    return separator.eval()


def test_separation_against_length(capsys):
    separator = packaged_separator()
    rate = separator.sample_rate
    rows = []
    with torch.inference_mode():
        for length_s in LENGTHS_S:
            mixture = torch.randn(length_s * rate)
            whole = seconds(lambda mixture=mixture: separator(mixture[None]))
            windows = seconds(
                lambda mixture=mixture: separate_in_windows(
                    separator, mixture, window=20 * rate, overlap=4 * rate, sample_rate=rate
                )
            )
            rows.append((length_s, whole / length_s, windows / length_s, windows / whole))
    with capsys.disabled():
        print(f"\npackaged separator, {torch.get_num_threads()} threads: seconds of work a second of audio")
        print("length_s    whole  windows    ratio")
        for length_s, whole, windows, ratio in rows:
            print(f"{length_s:8d} {whole:8.3f} {windows:8.3f} {ratio:8.2f}")


def test_memory_against_length(capsys):
    """Peak memory of a fresh process a length, above what it held before it separated."""
    code = (
        "import re, sys, torch\n"
        "from cse.checkpoint import *\n"
        "from cse.models.windows import separate_in_windows\n"
        "c = load_checkpoint(DEFAULT_MODEL); s = instantiate(c.config['model']).eval(); r = s.sample_rate\n"
        "x = torch.randn(int(sys.argv[1]) * r)\n"
        "field = lambda name: int(re.search(name + r':\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024\n"
        "open('/proc/self/clear_refs', 'w').write('5'); held = field('VmRSS')  # 5: forget the peak so far\n"
        "with torch.inference_mode():\n"
        "    separate_in_windows(s, x, window=20 * r, overlap=4 * r, sample_rate=r)\n"
        "print(field('VmHWM') - held)\n"
    )
    peaks = {
        length_s: float(
            subprocess.run(
                [sys.executable, "-c", code, str(length_s)], capture_output=True, check=True
            ).stdout
        )
        for length_s in (*LENGTHS_S, 300)
    }
    with capsys.disabled():
        print("\npackaged separator in windows: peak memory of the separation, MB")
        for length_s, peak_mb in peaks.items():
            print(f"{length_s:8d} {peak_mb:8.0f}")


def test_dynamic_mixing_against_real_time(capsys, tmp_path):
    manifest = write_utterances(tmp_path, talkers=8, dialogues=10, duration_s=4.0)
    speech = WaveformCache(read_utterances(manifest), tmp_path / "cache", 16000)
    speech.build()
    rows = []
    for speeds in ((1.0,), (0.9, 1.0, 1.1)):
        mixtures = DynamicMixtures(
            speech=speech, config=MixingConfig(talkers=2, segment_s=3.0, speeds=speeds), seed=0, length=100
        )
        rows.append(
            (speeds, 100 * 3.0 / seconds(lambda mixtures=mixtures: [mixtures[i] for i in range(100)]))
        )
    with capsys.disabled():
        print("\ndynamic mixing of two talkers, one process: seconds of mixture a second")
        for speeds, factor in rows:
            print(f"speeds {speeds!s:<16} {factor:8.0f}")
        print(
            f"peak memory of the benchmarks {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
        )
