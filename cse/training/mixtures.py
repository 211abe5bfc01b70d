"""Dynamic mixing: training mixtures made on the fly, each a function of (seed, index) and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from cse.audio import fit_length, resample
from cse.errors import ManifestError
from cse.training.waveform_cache import WaveformCache
from simulate.mixing import mix, sample_snr_db

_SILENCE_RMS = 1e-3  # −60 dB: a piece without speech in it teaches nothing
_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class MixingConfig:
    """How training mixtures are made.

    Attributes:
        talkers: Talkers in a mixture, S.
        segment_s: Length of a mixture in seconds.
        speeds: Speed factors, one drawn for each talker; (1.0,) leaves speech as it is.
        noise_probability: Share of mixtures with ambient noise.
        noise_snr_db: Range of speech over noise in dB.
    """

    talkers: int
    segment_s: float = 3.0
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    noise_probability: float = 0.0
    noise_snr_db: tuple[float, float] = (5.0, 20.0)


class DynamicMixtures(Dataset[dict[str, torch.Tensor]]):
    """Mixtures of different talkers by the paper's rule (`simulate.mixing`).

    Item i is the same in every epoch and process.

    Args:
        speech: Decoded utterances.
        config: How to mix.
        seed: Two datasets with different seeds share no mixture.
        length: Number of mixtures; indices beyond it are valid too, training goes on counting.
        noise: Decoded ambient noise, needed where `config.noise_probability` is above 0.

    Raises:
        ManifestError: If there are fewer speakers than talkers in a mixture.
    """

    def __init__(
        self,
        *,
        speech: WaveformCache,
        config: MixingConfig,
        seed: int,
        length: int,
        noise: WaveformCache | None = None,
    ) -> None:
        by_speaker: dict[str, list[int]] = defaultdict(list)
        for index, utterance in enumerate(speech.utterances):
            by_speaker[utterance.speaker].append(index)
        if len(by_speaker) < config.talkers:
            raise ManifestError(
                f"got utterances of {len(by_speaker)} speaker(s), expected at least {config.talkers} for mixtures of "
                f"{config.talkers} talkers; add speakers or lower `talkers`"
            )
        self.speech = speech
        self.noise = noise
        self.config = config
        self.seed = seed
        self.length = length
        self.samples = round(config.segment_s * speech.sample_rate)
        self._speakers = list(by_speaker.values())

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """`mixture` (T,) and `talkers` (S, T) float32 at the cache's rate, talkers at their level in the mixture."""
        rng = np.random.default_rng((self.seed, index))
        chosen = rng.choice(len(self._speakers), self.config.talkers, replace=False)
        sources = [self._segment(self._speakers[speaker], rng) for speaker in chosen]
        noise = None
        if self.noise is not None and rng.random() < self.config.noise_probability:
            noise = self.noise.read(int(rng.integers(len(self.noise.utterances))))
        result = mix(
            sources,
            [sample_snr_db(rng) for _ in sources[1:]],
            noise=noise,
            noise_snr_db=float(rng.uniform(*self.config.noise_snr_db)),
            length=self.samples,
        )
        return {"mixture": torch.from_numpy(result.mixture), "talkers": torch.from_numpy(result.sources)}

    def _segment(self, utterances: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """A random piece of one of a speaker's utterances, at a random speed, padded at both ends where it is short."""
        rate = self.speech.sample_rate
        for _ in range(_TRIES):
            utterance = utterances[int(rng.integers(len(utterances)))]
            speed = float(rng.choice(self.config.speeds))
            wanted = round(self.samples * speed)
            start = int(rng.integers(max(1, self.speech.length(utterance) - wanted + 1)))
            piece = self.speech.read(utterance, start, wanted)
            if np.sqrt(np.mean(np.square(piece))) > _SILENCE_RMS:
                break
        if speed != 1.0:
            piece = resample(piece, round(rate * speed), rate)
        piece = fit_length(piece, min(len(piece), self.samples))
        before = int(rng.integers(self.samples - len(piece) + 1))
        return np.pad(piece, (before, self.samples - len(piece) - before))


class ResumableSampler(Sampler[int]):
    """Counts on from where training stood: rank r of W takes every W-th index of each step, none twice.

    Args:
        items_done: Asked at the start of an epoch: how many indices all ranks together have used up.
        epoch_items: Indices of an epoch over all ranks.
        rank: This process.
        world_size: Number of processes.
    """

    def __init__(
        self, *, items_done: Callable[[], int], epoch_items: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.items_done = items_done
        self.epoch_items = epoch_items
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return self.epoch_items // self.world_size

    def __iter__(self) -> Iterator[int]:
        done = self.items_done()
        end = (done // self.epoch_items + 1) * self.epoch_items
        return iter(range(done + self.rank, end, self.world_size))
