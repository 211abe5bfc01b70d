"""Small networks, and sound in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from cse.extractor import Extractor
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.models.backbones.causal_conv_tasnet import CausalConvTasNet
from cse.models.filterbanks import Filterbank, LearnedFilterbank, STFTFilterbank
from cse.models.separator import Separator
from cse.models.truncating_filterbank import TruncatingFilterbank
from cse.testing.models import ToldChooser

FILTERBANKS: dict[str, Callable[[], Filterbank]] = {
    "learned": lambda: LearnedFilterbank(channels=34),
    "truncating": lambda: TruncatingFilterbank(channels=34),
    "stft": lambda: STFTFilterbank(channels=34, hop_size=8),
}


def causal_separator(filterbank: str = "learned", talkers: int = 2) -> Separator:
    torch.manual_seed(0)
    network = CausalConvTasNet(channels=34, talkers=talkers, bottleneck=8, hidden=12, blocks=4, repeats=2)
    bank = FILTERBANKS[filterbank]()
    return Separator(filterbank=bank, backbone=network, sample_rate=16000).eval().requires_grad_(False)


def causal_split_by_frequency() -> Separator:
    """A causal network whose talkers are what lies below 1 kHz and what lies above, nearly."""
    torch.manual_seed(0)
    network = CausalConvTasNet(channels=66, talkers=2, bottleneck=8, hidden=12, blocks=4, repeats=2)
    bank = STFTFilterbank(channels=66, hop_size=16)
    last: Any = network.exit[1]
    with torch.no_grad():
        last.weight.mul_(0.02)
        masks = last.bias.view(2, 66).zero_()
        masks[0, :33] = torch.where(torch.arange(33) < 4, 0.5, -0.5)  # one half is added
        masks[1, :33] = -masks[0, :33]
    return Separator(filterbank=bank, backbone=network, sample_rate=16000).eval().requires_grad_(False)


def causal_extractor(index: int = 1) -> Extractor:
    chooser: Any = ToldChooser(index)
    method = SeparateThenChoose(separator=causal_split_by_frequency(), chooser=chooser)
    return Extractor(method=method, name="causal")


def cut(samples: np.ndarray, chunk: int | Sequence[int]) -> Iterator[np.ndarray]:
    """Chunks of one length, or of some lengths over and over."""
    lengths = [chunk] if isinstance(chunk, int) else chunk
    start = number = 0
    while start < len(samples):
        length = lengths[number % len(lengths)]
        yield samples[start : start + length]
        start, number = start + length, number + 1


def stream_through(stream: Any, samples: np.ndarray, chunk: int | Sequence[int]) -> np.ndarray:
    """All that comes out of something with `push` and `flush`."""
    parts = [stream.push(part) for part in cut(samples, chunk)]
    return np.concatenate([*parts, stream.flush()], axis=-1)


@pytest.fixture
def noise(rng: np.random.Generator) -> np.ndarray:
    """(T,) float32, 0.6 s at 16 kHz and a few samples more."""
    return (0.1 * rng.standard_normal(9605)).astype(np.float32)
