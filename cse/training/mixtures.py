"""Dynamic mixing: training mixtures made on the fly, each a function of (seed, index) and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import default_collate

from cse.errors import ConfigError
from cse.training.mixer import Mixer
from cse.training.mixture_data import LEAST_SEGMENT_S
from cse.training.mixture_set import MixtureSet
from cse.training.reverberation import BankRooms, NoiseRooms, Rooms, Wanted
from cse.training.speaker_sampler import SpeakerSampler
from cse.training.waveform_cache import WaveformCache
from simulate.bank import RirBank, Split
from simulate.channel import Channel, ChannelConfig
from simulate.checks import check_least, check_share
from simulate.rooms import check_range


@dataclass(frozen=True, kw_only=True)
class MixingConfig(ChannelConfig):
    """How training mixtures are made.

    Attributes:
        talkers: Talkers in a mixture, S.
        count_weights: How often 1, 2, … S of them talk, relative to each other; the others are silent. Empty: all do.
        one_corpus_probability: Share of mixtures whose talkers are all of one corpus (`corpus` in the manifest), which
            one in proportion to its length. Talkers of two corpora differ in microphone and room, which two people in
            one recording have in common.
        close_pitch_probability: Share of mixtures in which each further voice is the nearest of eight to the first in
            pitch. These are separated worst, and are a small part of what is drawn at random.
        segment_s: Length of a mixture in seconds.
        padded: Every mixture is as long as that, with silence where talkers are short; false ends it with its last
            talker, and a batch with its longest mixture.
        max_delay_s: Latest start in seconds of a talker who is shorter than that; null is anywhere, so that talkers of
            3 s seldom talk at once in mixtures of 16 s.
        speeds: Speed factors, one drawn for each talker; (1.0,) leaves speech as it is.
        shift_probability: Share of talkers whose speech is shifted, what leaves at one end coming in at the other.
        max_shift_s: By how many seconds at most, to either side.
        cut_probability: Share of mixtures in which all talkers are cut to the length of the shortest.
        overlap_probability: Share of mixtures in which talkers overlap by a drawn ratio, cut where they would not fit.
        overlap: Range of that ratio: 0 one after the other, 1 the shorter within the longer.
        noise_probability: Share of mixtures with ambient noise.
        noise_snr_db: Range of speech over noise in dB.
        reverberation_probability: Share of mixtures with reverberation.
        bank: Folder of rooms made with `cse rirs`; null takes decaying noise instead of rooms.
        bank_split: Rooms of the bank to train with; validation takes those of dev.
        target: What is wanted of a talker with reverberation: dry (direct path alone), early (50 ms of reflections too)
            or reverberant (all that is heard).
        rt60_s: Range of the decay in seconds, without a bank.
        direct_to_reverberant_db: Range of the direct sound's energy over that of the reverberation, without a bank.

    Raises:
        ConfigError: A value outside of what is named here.
    """

    talkers: int
    count_weights: tuple[float, ...] = ()
    one_corpus_probability: float = 0.0
    close_pitch_probability: float = 0.0
    segment_s: float = 3.0
    padded: bool = True
    max_delay_s: float | None = None
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    shift_probability: float = 0.0
    max_shift_s: float = 1.0
    cut_probability: float = 0.0
    overlap_probability: float = 0.0
    overlap: tuple[float, float] = (0.0, 1.0)
    noise_probability: float = 0.0
    noise_snr_db: tuple[float, float] = (5.0, 20.0)
    reverberation_probability: float = 0.0
    bank: Path | None = None
    bank_split: Split = "train"
    target: Wanted = "reverberant"
    rt60_s: tuple[float, float] = (0.15, 0.6)
    direct_to_reverberant_db: tuple[float, float] = (0.0, 10.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in fields(self):
            if field.name.endswith(("_dropout", "_probability")):
                check_share(field.name, getattr(self, field.name))
        check_least("talkers", self.talkers, 1)
        check_least("segment_s", self.segment_s, LEAST_SEGMENT_S)
        for name in ("max_delay_s", "max_shift_s"):
            check_least(name, getattr(self, name), 0)
        for name in ("overlap", "noise_snr_db", "direct_to_reverberant_db"):
            check_range(name, getattr(self, name))
        check_range("rt60_s", self.rt60_s, least=0)
        if self.count_weights and (
            len(self.count_weights) != self.talkers
            or min(self.count_weights) < 0
            or not sum(self.count_weights) > 0
        ):
            raise ConfigError(
                f"count_weights: got {list(self.count_weights)}, expected {self.talkers} numbers from 0 on, not all 0"
            )
        if not self.speeds or not all(0.5 <= speed <= 2 for speed in self.speeds):
            raise ConfigError(f"speeds: got {list(self.speeds)}, expected factors from 0.5 to 2")
        if not 0 <= self.overlap[0] <= self.overlap[1] <= 1:
            raise ConfigError(f"overlap: got {list(self.overlap)}, expected ratios between 0 and 1")
        if self.bank is not None and not self.reverberation_probability:
            raise ConfigError(
                f"bank: got {self.bank}, but no mixture takes a room; expected reverberation_probability above 0"
            )
        if not self.padded and self.max_delay_s is None:
            raise ConfigError(
                "padded: got false with talkers who begin anywhere, expected max_delay_s=SECONDS with it"
            )

    @property
    def has_channel(self) -> bool:
        """Whether anything may happen to a mixture after it was added up."""
        shares = self.clip_probability, self.telephone_probability, self.opus_probability
        return any(shares) or self.gain_db != (0.0, 0.0)

    def check(self, sample_rate: int) -> None:
        """Refuse, before any work, a bank that does not fit and a codec that is not installed.

        Raises:
            ConfigError: See `rooms`.
            MissingExtraError: Opus is asked for, and PyAV is not installed.
        """
        self.rooms(sample_rate)
        if self.opus_probability:
            Channel(opus_kbps=self.opus_kbps[0]).apply(np.zeros(sample_rate // 10, np.float32), sample_rate)

    def rooms(self, sample_rate: int) -> Rooms:
        """Where talkers are when they reverberate.

        Raises:
            ConfigError: If the bank cannot be read, or has another rate or too few talkers.
        """
        if self.bank is None:
            return NoiseRooms(
                rt60_s=self.rt60_s,
                direct_to_reverberant_db=self.direct_to_reverberant_db,
                sample_rate=sample_rate,
                wanted=self.target,
            )
        bank = RirBank.load(self.bank, split=self.bank_split)
        bank.check(sample_rate=sample_rate, talkers=self.talkers)
        return BankRooms(bank, self.target)

    def mixtures(
        self, *, speech: WaveformCache, seed: int, length: int, noise: WaveformCache | None
    ) -> Mixtures:
        """The data set that is made in this way."""
        return DynamicMixtures(speech=speech, config=self, seed=seed, length=length, noise=noise)

    def for_validation(self, *, segment_s: float) -> Self:
        """The same without what only helps to learn, in rooms of the bank that are not trained with."""
        return replace(
            self,
            segment_s=segment_s,
            speeds=(1.0,),
            shift_probability=0.0,
            cut_probability=0.0,
            one_corpus_probability=0.0,
            close_pitch_probability=0.0,
            bank_split="dev",
        )


class Mixtures(MixtureSet):
    """Mixtures of which item i is the same in every epoch and process.

    Args:
        mixer: Makes them out of utterances.
        seed: Two datasets with different seeds share no mixture.
        length: Number of mixtures; indices beyond it are valid too, training goes on counting.
    """

    def __init__(self, *, mixer: Mixer, seed: int, length: int) -> None:
        self._mixer = mixer
        self._seed = seed
        self._length = length

    def __len__(self) -> int:
        return self._length

    @staticmethod
    def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """B items as a batch; sound (…, T) of which some is shorter is followed by silence."""
        columns = {key: [item[key] for item in items] for key in items[0]}
        return {key: _stacked(key, column) for key, column in columns.items()}

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
        ManifestError: See `SpeakerSampler`.
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
        super().__init__(mixer=Mixer(speech=speech, noise=noise, config=config), seed=seed, length=length)
        self._talkers = config.talkers
        weights = np.array(config.count_weights)
        self._counts = weights / weights.sum() if len(weights) else None
        self._speakers = SpeakerSampler(
            speech,
            talkers=config.talkers,
            one_corpus=config.one_corpus_probability,
            close_pitch=config.close_pitch_probability,
        )

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """`mixture` (T,) and `talkers` (S, T) float32 at the cache's rate, talkers as wanted, at their level in it.

        Of talkers who are not there, the last ones, there is silence.
        """
        rng = self._random(index)
        count = self._talkers
        if self._counts is not None:
            count = 1 + int(rng.choice(self._talkers, p=self._counts))
        mixed = self._mixer.mixture(self._speakers.draw(count, rng), rng)
        talkers = F.pad(torch.from_numpy(mixed.talkers), (0, 0, 0, self._talkers - count))
        return {"mixture": torch.from_numpy(mixed.mixture), "talkers": talkers}


_SOUND = ("mixture", "talkers")


def _stacked(key: str, column: list[Any]) -> Any:
    if key not in _SOUND:
        return column
    longest = max(sound.shape[-1] for sound in column)
    # by PyTorch's own function, which in a worker writes where the training process can read
    return default_collate([_followed_by_silence(sound, longest) for sound in column])


def _followed_by_silence(sound: Tensor, samples: int) -> Tensor:
    missing = samples - sound.shape[-1]
    return F.pad(sound, (0, missing)) if missing else sound
