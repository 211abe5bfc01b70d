"""Models that are known exactly, for tests: a separator by frequency and a chooser that says what it was told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cse.audio import Recording
from cse.encoders.voice import SpeakerEmbedding, unit
from cse.extractor import Extractor
from cse.history import Turn
from cse.inference.method import Runtime
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.models.backbones.conv_tasnet import ConvTasNet
from cse.models.filterbanks import STFTFilterbank
from cse.models.separator import Separator
from cse.selection.calibration import Choice

SAMPLE_RATE = 16000
CUTOFF_HZ = 1000


class SplitByFrequency(Separator):
    """Two talkers: one is what lies below 1 kHz, the other what lies above. More talkers with more limits.

    Args:
        limits_hz: Between the talkers.
    """

    def __init__(self, limits_hz: Sequence[float] = (CUTOFF_HZ,)) -> None:
        network = ConvTasNet(
            channels=4, talkers=len(limits_hz) + 1, bottleneck=1, hidden=1, blocks=1, repeats=1
        )
        super().__init__(
            filterbank=STFTFilterbank(channels=4, hop_size=1), backbone=network, sample_rate=SAMPLE_RATE
        )
        self.limits_hz = limits_hz

    def forward(self, mixture: Tensor) -> Tensor:
        """(B, T) -> (B, S, T)."""
        samples = mixture.shape[-1]
        spectrum = torch.fft.rfft(mixture)
        frequency_hz = torch.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
        band = sum((frequency_hz >= limit).long() for limit in self.limits_hz)
        parts = [spectrum * (band == talker) for talker in range(self.talkers)]
        return torch.stack([torch.fft.irfft(part, samples) for part in parts], dim=1)


class ToneVoice:
    """A voice encoder that tells tones apart: the energies in 16 bands, as a vector of length 1."""

    name = "tones"
    identity = "tones-1"

    def embed(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """(T,) to (16,)."""
        power = np.abs(np.fft.rfft(waveform, 2 * sample_rate)) ** 2
        bands = np.array_split(power[: 2 * 4000], 16)  # up to 4 kHz
        return unit(np.array([band.sum() for band in bands]))


class ToldChooser:
    """Chooses what it was told, and remembers what it was asked.

    Args:
        index: The talker to choose.
        p_none: Probability that nobody continues the history.
    """

    def __init__(self, index: int = 0, *, p_none: float = 0.1) -> None:
        self.index = index
        self.p_none = p_none
        self.asked: list[dict[str, Any]] = []

    def choose(
        self,
        candidates: Sequence[np.ndarray],
        sample_rate: int,
        history: Sequence[Turn] | None = None,
        *,
        enrollment: Recording | SpeakerEmbedding | None = None,
        target: str | None = None,
    ) -> Choice:
        """See `cse.selection.chooser.Chooser.choose`."""
        self.asked.append(
            {
                "candidates": candidates,
                "sample_rate": sample_rate,
                "history": history,
                "enrollment": enrollment,
                "target": target,
            }
        )
        others = 0.1 * (1 - self.p_none)
        probabilities = np.full(len(candidates), others)
        probabilities[self.index] = 1 - self.p_none - others * (len(candidates) - 1)
        return Choice(
            index=self.index,
            probabilities=probabilities,
            p_none=self.p_none,
            abstained=False,
            target_present=self.p_none < 0.5,
            audible=np.ones(len(candidates), bool),
            transcripts=(None,) * len(candidates),
        )

    def embed_voice(self, recording: Recording) -> SpeakerEmbedding:
        """See `cse.selection.chooser.Chooser.embed_voice`."""
        return SpeakerEmbedding.of(
            recording.waveform, recording.sample_rate, encoder=ToneVoice(), same_above=0.5
        )


def two_tones(duration_s: float) -> np.ndarray:
    """A mixture that `SplitByFrequency` takes apart: tones of 300 and 2500 Hz, (T,) float32 at 16 kHz."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    tones = [np.sin(2 * np.pi * frequency_hz * time_s) for frequency_hz in (300, 2500)]
    return (0.2 * np.sum(tones, axis=0)).astype(np.float32)


def told_extractor(
    index: int = 0,
    *,
    p_none: float = 0.1,
    window_s: float = 20.0,
    overlap_s: float = 4.0,
    limits_hz: Sequence[float] = (CUTOFF_HZ,),
) -> Extractor:
    """An extractor that splits by frequency and returns the talker it was told to.

    >>> time = np.arange(16000) / 16000
    >>> low, high = (np.sin(2 * np.pi * hz * time) for hz in (300, 2500))
    >>> result = told_extractor(1).extract(low + high, [Turn("Hi")], sample_rate=16000)
    >>> bool(np.allclose(result.waveform, high, atol=0.1))
    True
    """
    chooser: Any = ToldChooser(index, p_none=p_none)
    runtime = Runtime(window_s=window_s, overlap_s=overlap_s)
    method = SeparateThenChoose(separator=SplitByFrequency(limits_hz), chooser=chooser, runtime=runtime)
    return Extractor(method=method, name="told")
