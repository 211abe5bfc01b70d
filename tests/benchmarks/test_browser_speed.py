"""The packaged separator in Chromium, as a table: size, processor time, and how near it comes to PyTorch.

make ondevice && pytest -q -s -m benchmark tests/benchmarks/test_browser_speed.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from cse.audio import read_audio
from cse.building import instantiate
from cse.checkpoint import DEFAULT_MODEL, load_checkpoint, load_state
from cse.evaluation.metrics import si_sdr
from cse.manifest import read_utterances
from cse.models.windows import separate_in_windows
from cse.ondevice.browser import FILES, MANIFEST
from cse.testing.on_device_page import OnDevicePage

pytestmark = pytest.mark.benchmark
pytest.importorskip("onnx", reason='needs: pip install "cse[onnx]"')
pytest.importorskip("fastapi", reason='needs: pip install "cse[service]"')
if not (FILES / MANIFEST).is_file():
    pytest.skip("there is no model for browsers: make ondevice", allow_module_level=True)

from cse.ondevice.export import export_onnx  # noqa: E402
from cse.ondevice.onnx_extractor import OnnxExtractor  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RECORDINGS, LENGTH_S, WINDOW_S, RATE = 6, 8.0, 20.0, 16000


def test_the_packaged_separator(chromium: Browser, development_data: Path, tmp_path: Path, capsys):
    recordings = list(mixtures(development_data, LENGTH_S))[:RECORDINGS]
    long, _ = next(mixtures(development_data, WINDOW_S))
    expected = [si_sdr_db(by_pytorch(talkers.sum(0)), talkers) for _, talkers in recordings]
    rows = []
    with OnDevicePage(chromium, tmp_path) as page:
        for precision in ("float32", "float16", "int8"):
            path = tmp_path / f"{precision}.onnx"
            export_onnx(DEFAULT_MODEL, path, precision=precision)
            page.load(f"/models/{path.name}")
            page.separate(recordings[0][0])  # warms up
            before = processor_s()
            found = [page.separate(mixture)["voices"] for mixture, _ in recordings]
            seconds = (processor_s() - before) / RECORDINGS / LENGTH_S
            page.separate(long)
            worst_db, in_python = against_python(path, recordings, found)
            rows.append(
                f"| {precision} | {path.stat().st_size / 1e6:.1f} | {in_python:.2f} | {seconds:.2f} | "
                f"{worst_db:.0f} dB | {losses(found, recordings, expected)} | "
                f"{memory_mb():.0f} |"
            )
    with capsys.disabled():
        print(
            "\n| precision | MB | real-time factor in Python | in Chromium | against Python "
            "| SI-SDR lost, mean (worst) | memory, MB |"
        )
        print("\n".join(rows))


def mixtures(data: Path, seconds: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mixtures (T,) of two talkers of LibriSpeech, and the talkers (2, T)."""
    utterances = read_utterances(data / "speech" / "utterances.jsonl")
    voices: dict[str, list[np.ndarray]] = {}
    for one in utterances:
        if one.split == "dev" and one.extra.get("corpus") == "librispeech":
            voices.setdefault(one.speaker, []).append(read_audio(one.audio).waveform)
    samples = round(seconds * RATE)
    whole = [np.resize(np.concatenate(parts), samples) for _, parts in sorted(voices.items())]
    level = [0.1 * voice / voice.std() for voice in whole]
    for first, second in zip(level[::2], level[1::2], strict=False):
        talkers = np.stack([first, second]).astype(np.float32)
        yield talkers.sum(0), talkers


def by_pytorch(mixture: np.ndarray) -> np.ndarray:
    checkpoint = load_checkpoint(DEFAULT_MODEL)
    model: Any = instantiate(checkpoint.config["model"])
    load_state(model, checkpoint.state)
    with torch.inference_mode():
        estimates = separate_in_windows(
            model.eval(), torch.from_numpy(mixture), window=20 * RATE, overlap=4 * RATE, sample_rate=RATE
        )
    return estimates.numpy()


def si_sdr_db(voices: Any, talkers: np.ndarray) -> float:
    """Mean over the talkers, in the best order."""
    if len(voices) < len(talkers):
        return float("nan")
    orders = permutations(range(len(voices)), len(talkers))
    return max(
        float(np.mean([si_sdr(voices[at], talker) for at, talker in zip(order, talkers, strict=True)]))
        for order in orders
    )


def losses(found: list[Any], recordings: list[Any], expected: list[float]) -> str:
    lost = [
        before - si_sdr_db(voices, talkers)
        for voices, (_, talkers), before in zip(found, recordings, expected, strict=True)
    ]
    return f"{np.nanmean(lost):.3f} dB ({np.nanmax(lost):.3f})"


def against_python(path: Path, recordings: list[Any], found: list[Any]) -> tuple[float, float]:
    """The lowest SI-SDR of a voice in the browser against the same in Python, and Python's real-time factor."""
    extractor = OnnxExtractor.from_file(path, threads=1)
    extractor.extract(recordings[0][0], [], sample_rate=RATE)  # warms up
    worst, seconds = np.inf, 0.0
    for (mixture, _), voices in zip(recordings, found, strict=True):
        started = time.process_time()
        candidates = extractor.extract(mixture, [], sample_rate=RATE).candidates
        seconds += time.process_time() - started
        assert len(candidates) == len(voices)
        worst = min(worst, *(si_sdr(one, two.waveform) for one, two in zip(voices, candidates, strict=True)))
    return worst, seconds / RECORDINGS / LENGTH_S


def processes() -> dict[int, list[str]]:
    """Fields of /proc/PID/stat behind the name, of all that this process started."""
    fields = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
    mine = {os.getpid()}
    while more := {pid for pid, values in fields.items() if int(values[1]) in mine} - mine:
        mine |= more
    return {pid: fields[pid] for pid in mine - {os.getpid()}}


def processor_s() -> float:
    ticks = sum(int(values[11]) + int(values[12]) for values in processes().values())
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb() -> float:
    """Of the largest process of the browser, now: WebAssembly's memory never shrinks."""
    pages = max(int(values[21]) for values in processes().values())
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
