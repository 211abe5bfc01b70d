"""Pieces of mixtures of shards, with their cues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from cse import manifest_fields as fields
from cse.errors import HistoryError, ManifestError
from cse.history import Turn
from cse.training.cue_dropout import CueDropout, check_cues
from cse.training.dialogue_mixtures import DialogueMixtures
from cse.training.mixture_data import LEAST_SEGMENT_S
from cse.training.mixture_set import MixtureSet
from cse.training.shards.cache import ShardCache
from cse.training.shards.index import ShardAddress
from cse.training.shards.open_shard import OpenShard
from cse.training.shards.order import ShardOrder
from simulate.checks import check_least

_SILENCE_RMS = 1e-3  # −60 dB: a piece without the target's speech teaches nothing
_TRIES = 10
_LARGEST_GAIN_DB = 120


@dataclass(frozen=True, kw_only=True)
class SegmentConfig(CueDropout):
    """What is taken of a mixture for training; what it shares with `CueDropout` means the same here.

    Attributes:
        talkers: Talkers in every mixture, S.
        segment_s: Length in seconds that is cut out of a mixture at random; a shorter one is followed by silence.
        max_history_turns: Most turns of a history, the last ones.
        random_history_turns: Cut each history to a random number of last turns, 1 to `max_history_turns`.
        enrollment_s: Shortest and longest enrollment in seconds; a shorter recording is one as a whole.

    Raises:
        ConfigError: A value outside of what is named here.
    """

    talkers: int
    segment_s: float = 3.0
    max_history_turns: int = 100
    random_history_turns: bool = True
    enrollment_s: tuple[float, float] = (2.0, 5.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least("talkers", self.talkers, 1)
        check_least("segment_s", self.segment_s, LEAST_SEGMENT_S)
        check_cues(max_history_turns=self.max_history_turns, enrollment_s=self.enrollment_s)

    def for_validation(self, *, segment_s: float) -> Self:
        """The same with both cues in full wherever there are any."""
        return replace(
            self,
            segment_s=segment_s,
            random_history_turns=False,
            history_dropout=0.0,
            enrollment_dropout=0.0,
            both_dropout=0.0,
        )


class ShardMixtures(MixtureSet):
    """Mixtures of shards, of which item i is the same in every process.

    Args:
        shards: Where they are.
        cache: Opens them.
        config: What is taken of a mixture.
        seed: Of the pieces that are cut out.
        order: Which mixture an index stands for; None is that of the shards.
        open_shards: Shards that are held open, at most.
    """

    collate = staticmethod(DialogueMixtures.collate)

    def __init__(
        self,
        *,
        shards: Sequence[ShardAddress],
        cache: ShardCache,
        config: SegmentConfig,
        sample_rate: int,
        seed: int,
        order: ShardOrder | None = None,
        open_shards: int = 4,
    ) -> None:
        self.config = config
        self._shards = list(shards)
        self._cache = cache
        self._rate = sample_rate
        self._seed = seed
        self._order = order
        self._most_open = open_shards
        self._ends = np.cumsum([shard.mixtures for shard in shards])
        self._open: dict[int, OpenShard] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A mixture and the cues to one of its talkers, as `DialogueMixtures` gives them.

        Raises:
            ManifestError: The mixture is not what a shard holds, or has another number of talkers.
        """
        number, place = self._in_order(index) if self._order is None else self._order.place(index)
        shard = self._opened(number)
        return _Piece(
            shard, place, self.config, self._rate, np.random.default_rng((self._seed, index))
        ).item()

    def _in_order(self, index: int) -> tuple[int, int]:
        number = int(np.searchsorted(self._ends, index, side="right"))
        return number, index - (int(self._ends[number - 1]) if number else 0)

    def _opened(self, number: int) -> OpenShard:
        shard = self._open.pop(number, None) or self._cache.open(self._shards[number])
        self._open[number] = shard  # the last one used is the last one in the dictionary
        if len(self._open) > self._most_open:
            self._open.pop(next(iter(self._open))).close()
        return shard

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}


class _Piece:
    """A piece of one mixture of a shard."""

    def __init__(
        self, shard: OpenShard, place: int, config: SegmentConfig, sample_rate: int, rng: np.random.Generator
    ) -> None:
        self._shard = shard
        self._place = place
        self._config = config
        self._rate = sample_rate
        self._rng = rng
        self._record = shard.record(place)

    def item(self) -> dict[str, Any]:
        present = self._record.get("target") is not None
        kinds = ["target"] * present
        kinds += [f"interferer{n}" for n in range(1, len(self._list("interferers")) + 1)]
        if len(kinds) != self._config.talkers:
            raise ManifestError(
                f"{self._shard.place}: {self._record.get('id')}: got {len(kinds)} talkers, expected "
                f"{self._config.talkers} in every mixture"
            )
        start, first = self._start(kinds[0])
        talkers = torch.stack([first, *(self._sound(kind, start) for kind in kinds[1:])]) * self._gain()
        places = self._rng.permutation(len(kinds))
        histories = [self._cut(self._turns("history"))] * present
        histories += [self._cut(turns) for turns in self._interferer_histories(len(kinds) - present)]
        return {
            "mixture": self._sound("mixture", start),
            "talkers": talkers[places],
            "target": int(np.flatnonzero(places == 0)[0]) if present else -1,
            **self._cues(),
            "histories": [histories[place] for place in places],
        }

    def _start(self, speech: str) -> tuple[int, Tensor]:
        """Where to cut, so that the target (or the first interferer) says something, and what they say there."""
        latest = self._shard.samples(self._place, "mixture") - self._samples
        if latest <= 0:
            return 0, self._sound(speech, 0)
        for _ in range(_TRIES):
            start = int(self._rng.integers(latest + 1))
            sound = self._sound(speech, start)
            if float(sound.square().mean().sqrt()) > _SILENCE_RMS:
                break
        return start, sound

    def _gain(self) -> float:
        """Of the channel, which the mixture was sent through, and the talkers' files were not (`simulate.item`)."""
        channel = self._record.get("channel")
        gain_db = channel.get("gain_db", 0.0) if isinstance(channel, dict) else 0.0
        if not isinstance(gain_db, int | float) or not abs(gain_db) <= _LARGEST_GAIN_DB:
            raise ManifestError(
                f"{self._shard.place}: {self._record.get('id')}: channel.gain_db: got {gain_db!r}, expected a number "
                f"from -{_LARGEST_GAIN_DB} to {_LARGEST_GAIN_DB}; write the shards again"
            )
        return float(10 ** (gain_db / 20))

    @property
    def _samples(self) -> int:
        return round(self._config.segment_s * self._rate)

    def _sound(self, kind: str, start: int) -> Tensor:
        waveform = self._shard.audio(self._place, kind, start, self._samples)
        return torch.from_numpy(np.pad(waveform, (0, self._samples - len(waveform))))

    def _cues(self) -> dict[str, Any]:
        history = self._cut(self._turns("history"))
        enrolled = self._record.get("enrollment") is not None
        has_history, has_enrollment = self._config.kept(bool(history), enrolled, self._rng)
        speaker = self._record.get("target_speaker")
        return {
            "history": history if has_history else [],
            "next_speaker": str(speaker) if has_history and speaker is not None else None,
            "enrollment": self._enrollment() if has_enrollment else None,
        }

    def _enrollment(self) -> Tensor:
        samples = round(float(self._rng.uniform(*self._config.enrollment_s)) * self._rate)
        latest = max(0, self._shard.samples(self._place, "enrollment") - samples)
        start = int(self._rng.integers(latest + 1))
        return torch.from_numpy(self._shard.audio(self._place, "enrollment", start, samples))

    def _cut(self, turns: Sequence[Turn]) -> list[Turn]:
        """The last turns, as many as the options say."""
        length = min(len(turns), self._config.max_history_turns)
        if self._config.random_history_turns and length:
            length = int(self._rng.integers(1, length + 1))
        return list(turns[len(turns) - length :])

    def _turns(self, key: str, value: Any = None) -> tuple[Turn, ...]:
        try:
            return fields.history(self._record.get(key) if value is None else value)
        except (ValueError, HistoryError) as error:
            raise ManifestError(f"{self._shard.place}: {self._record.get('id')}: {key}: {error}") from None

    def _interferer_histories(self, interferers: int) -> list[tuple[Turn, ...]]:
        """Of every interferer, empty where it is not known."""
        known = self._list("interferer_histories")[:interferers]
        return [self._turns("interferer_histories", turns) for turns in known] + [()] * (
            interferers - len(known)
        )

    def _list(self, key: str) -> list[Any]:
        value = self._record.get(key)
        return value if isinstance(value, list) else []
