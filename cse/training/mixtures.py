"""Dynamic mixing: training mixtures made on the fly, each a function of (seed, index) and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from scipy.signal import fftconvolve
from torch.utils.data import Dataset, Sampler, default_collate

from cse.audio import fit_length, resample
from cse.training.waveform_cache import WaveformCache
from simulate.casting import check_speakers
from simulate.mixing import Mix, mix, sample_snr_db
from simulate.reverberation import decaying_noise

_SILENCE_RMS = 1e-3  # −60 dB: a piece without speech in it teaches nothing
_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class MixingConfig:
    """How training mixtures are made.

    Attributes:
        talkers: Talkers in a mixture, S.
        segment_s: Length of a mixture in seconds.
        max_delay_s: Latest start in seconds of a talker who is shorter than that; null is anywhere, so that talkers of
            3 s seldom talk at once in mixtures of 16 s.
        speeds: Speed factors, one drawn for each talker; (1.0,) leaves speech as it is.
        noise_probability: Share of mixtures with ambient noise.
        noise_snr_db: Range of speech over noise in dB.
        reverberation_probability: Share of mixtures with reverberation; the talkers are as they sound with it.
        rt60_s: Range of its decay in seconds.
        direct_to_reverberant_db: Range of the direct sound's energy over that of the reverberation.
    """

    talkers: int
    segment_s: float = 3.0
    max_delay_s: float | None = None
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    noise_probability: float = 0.0
    noise_snr_db: tuple[float, float] = (5.0, 20.0)
    reverberation_probability: float = 0.0
    rt60_s: tuple[float, float] = (0.15, 0.6)
    direct_to_reverberant_db: tuple[float, float] = (0.0, 10.0)

    def mixtures(
        self, *, speech: WaveformCache, seed: int, length: int, noise: WaveformCache | None
    ) -> Mixtures:
        """The data set that is made in this way."""
        return DynamicMixtures(speech=speech, config=self, seed=seed, length=length, noise=noise)

    def for_validation(self, *, segment_s: float) -> Self:
        """The same without what only helps to learn."""
        return replace(self, segment_s=segment_s, speeds=(1.0,))


class SegmentMixer:
    """Cuts pieces out of utterances and adds them up.

    Args:
        speech: Decoded utterances.
        noise: Decoded ambient noise, needed where `config.noise_probability` is above 0.
        config: How to mix.
    """

    def __init__(self, *, speech: WaveformCache, noise: WaveformCache | None, config: MixingConfig) -> None:
        self.speech = speech
        self.noise = noise
        self.config = config
        self.samples = round(config.segment_s * speech.sample_rate)

    def segment(
        self, utterances: Sequence[int] | np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        """A random piece of one of a speaker's utterances, padded at both ends where it is short, and its speed.

        Returns:
            (T,) float32, as long as a mixture; and the factor by which it is faster than it was spoken.
        """
        piece, speed = self.piece(utterances, self.samples, rng)
        latest = self.samples - len(piece)
        if self.config.max_delay_s is not None:
            latest = min(latest, round(self.config.max_delay_s * self.speech.sample_rate))
        before = int(rng.integers(latest + 1))
        return np.pad(piece, (before, self.samples - len(piece) - before)), speed

    def piece(
        self,
        utterances: Sequence[int] | np.ndarray,
        samples: int,
        rng: np.random.Generator,
        *,
        speed: float | None = None,
    ) -> tuple[np.ndarray, float]:
        """At most `samples` samples of one of the utterances, at a random speed unless it is given, and that speed."""
        rate = self.speech.sample_rate
        for _ in range(_TRIES):
            utterance = int(utterances[int(rng.integers(len(utterances)))])
            factor = float(rng.choice(self.config.speeds)) if speed is None else speed
            wanted = round(samples * factor)
            start = int(rng.integers(max(1, self.speech.length(utterance) - wanted + 1)))
            piece = self.speech.read(utterance, start, wanted)
            if np.sqrt(np.mean(np.square(piece))) > _SILENCE_RMS:
                break
        if factor != 1.0:
            piece = resample(piece, round(rate * factor), rate)
        return fit_length(piece, min(len(piece), samples)), factor

    def mix(self, segments: Sequence[np.ndarray], rng: np.random.Generator) -> Mix:
        """Add talkers up by the paper's rule, the first of them the target, with noise where its turn has come."""
        if self.config.reverberation_probability > rng.random():
            segments = self._reverberant(segments, rng)
        noise = None
        if self.noise is not None and rng.random() < self.config.noise_probability:
            noise = self.noise.read(int(rng.integers(len(self.noise.utterances))))
        return mix(
            segments,
            [sample_snr_db(rng) for _ in segments[1:]],
            noise=noise,
            noise_snr_db=float(rng.uniform(*self.config.noise_snr_db)),
            length=self.samples,
        )

    def _reverberant(self, segments: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        """The same talkers in one room, each at a place of its own."""
        rt60_s = float(rng.uniform(*self.config.rt60_s))
        return [
            fftconvolve(
                segment,
                decaying_noise(
                    rng,
                    rt60_s=rt60_s,
                    direct_to_reverberant_db=float(rng.uniform(*self.config.direct_to_reverberant_db)),
                    sample_rate=self.speech.sample_rate,
                ),
            )[: len(segment)].astype(np.float32)
            for segment in segments
        ]


class Mixtures(Dataset[dict[str, Any]]):
    """Mixtures of which item i is the same in every epoch and process.

    Args:
        mixer: Makes them.
        seed: Two datasets with different seeds share no mixture.
        length: Number of mixtures; indices beyond it are valid too, training goes on counting.
    """

    collate = staticmethod(default_collate)
    """Items to a batch."""

    def __init__(self, *, mixer: SegmentMixer, seed: int, length: int) -> None:
        self._mixer = mixer
        self._seed = seed
        self._length = length

    def __len__(self) -> int:
        return self._length

    def _random(self, index: int) -> np.random.Generator:
        """All that decides about item `index`."""
        return np.random.default_rng((self._seed, index))


class DynamicMixtures(Mixtures):
    """Mixtures of different talkers by the paper's rule (`simulate.mixing`).

    Args:
        speech: Decoded utterances.
        config: How to mix.
        seed: See `Mixtures`.
        length: See `Mixtures`.
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
        super().__init__(
            mixer=SegmentMixer(speech=speech, noise=noise, config=config), seed=seed, length=length
        )
        by_speaker: dict[str, list[int]] = defaultdict(list)
        for index, utterance in enumerate(speech.utterances):
            by_speaker[utterance.speaker].append(index)
        check_speakers(len(by_speaker), config.talkers)
        self._talkers = config.talkers
        self._speakers = list(by_speaker.values())

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """`mixture` (T,) and `talkers` (S, T) float32 at the cache's rate, talkers at their level in the mixture."""
        rng = self._random(index)
        chosen = rng.choice(len(self._speakers), self._talkers, replace=False)
        segments = [self._mixer.segment(self._speakers[speaker], rng)[0] for speaker in chosen]
        mixed = self._mixer.mix(segments, rng)
        return {"mixture": torch.from_numpy(mixed.mixture), "talkers": torch.from_numpy(mixed.sources)}


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
