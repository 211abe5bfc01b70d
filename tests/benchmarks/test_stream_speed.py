"""Processor time of a stream by how long its chunks are: `make bench`.

Nothing is asserted of the seconds. A network that never looks ahead has some work with each chunk, however short; one
that looks ahead works once a hop, whatever the chunks.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from cse import Extractor
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.models.backbones.causal_conv_tasnet import CausalConvTasNet
from cse.models.filterbanks import LearnedFilterbank, STFTFilterbank
from cse.models.separator import Separator
from cse.streaming.causal import CausalSeparation
from cse.streaming.separation import StreamingSeparation
from cse.streaming.windowed import WindowedSeparation, Windows

pytestmark = pytest.mark.benchmark
SECONDS = 4.0
CHUNKS_MS = (5, 20, 100, 1000)


def causal(filterbank: str) -> CausalSeparation:
    """Of the published size, at 8 kHz with a learned filterbank, at 16 kHz with an STFT of 32 ms."""
    torch.manual_seed(0)
    bank = LearnedFilterbank(channels=256) if filterbank == "learned" else STFTFilterbank(hop_size=128)
    network = CausalConvTasNet(channels=bank.channels, talkers=2)
    rate = 8000 if filterbank == "learned" else 16000
    return CausalSeparation(separator=Separator(filterbank=bank, backbone=network, sample_rate=rate).eval())


def packaged(hop_s: float) -> WindowedSeparation:
    method = Extractor.from_pretrained().method
    assert isinstance(method, SeparateThenChoose)
    return WindowedSeparation(method, Windows(hop_s=hop_s))


def measure(stream: StreamingSeparation, rate: int, chunk_ms: int) -> tuple[float, float, int]:
    """Processor seconds a second of sound, the longest chunk's milliseconds, and how many samples came out."""
    sound = (0.1 * np.random.default_rng(0).standard_normal(round(SECONDS * rate))).astype(np.float32)
    chunk, longest_s, came = rate * chunk_ms // 1000, 0.0, 0
    begin = time.process_time()
    for start in range(0, len(sound), chunk):
        before = time.process_time()
        came += stream.push(sound[start : start + chunk]).shape[1]
        longest_s = max(longest_s, time.process_time() - before)
    came += stream.flush().shape[1]
    return (time.process_time() - begin) / SECONDS, 1000 * longest_s, came


@pytest.mark.parametrize(
    "kind",
    ["causal, learned filterbank, 8 kHz", "causal, STFT, 16 kHz", "packaged, hop 1 s", "packaged, hop 0.5 s"],
)
def test_chunks(kind, capsys):
    rate = 8000 if "8 kHz" in kind else 16000
    for chunk_ms in CHUNKS_MS:
        stream: StreamingSeparation
        if "causal" in kind:
            stream = causal("learned" if "learned" in kind else "stft")
        else:
            stream = packaged(0.5 if "0.5" in kind else 1.0)
        factor, longest_ms, came = measure(stream, rate, chunk_ms)
        assert came == SECONDS * rate
        with capsys.disabled():
            print(
                f"\n{kind}: chunks of {chunk_ms} ms: {factor:.3f} s a second, longest {longest_ms:.0f} ms, "
                f"latency {1000 * stream.latency / rate:.1f} ms",
                end="",
            )
