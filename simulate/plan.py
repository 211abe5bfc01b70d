"""Who talks over whom, how loud and when: the draws behind every mixture, made before any audio is read.

Each mixture is a function of (utterances, options, seed, index) alone, so it does not matter which process
renders it, in which order, or which others were rendered before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cse.errors import ConfigError
from cse.manifest import Utterance
from simulate.casting import Casting
from simulate.checks import check_least, check_one_of, check_share
from simulate.mixing import sample_snr_db
from simulate.rooms import Range, check_range
from simulate.timing import Timing, draw_timing

# Independent streams of random numbers of one mixture: rooms and noise do not change who talks.
TALKERS, ROOM, NOISE, ORDER, ABSENCE, TIMING, CHANNEL = range(7)


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """Who talks in the mixtures of a set, and when.

    Attributes:
        talkers: Talkers in a mixture, the target included: 2 or 3.
        min_history_turns: An utterance becomes a target if so many turns precede it; 0 takes all.
        absent_probability: Share of mixtures in which nobody continues the history: the utterance that does is left
            out, with its speaker and its dialogue.
        same_dialogue_probability: Share of interferers that are the other talkers of the target's dialogue; without it
            interferers are from other dialogues.
        same_gender_probability: Share of the others that have the target's `gender`, a key of the manifest's lines.
        same_topic_probability: Share of the others that have the target's `topic`, a key of the manifest's lines.
        overlap: Part of the shorter talker that the others talk over, [lowest, highest] between 0 and 1, drawn
            uniformly; null lets all begin at once.
        cut_probability: Share of mixtures in which all talkers are cut to the length of the shortest.
        seed: Mixtures of different seeds have nothing in common.

    Raises:
        ConfigError: A value outside of what is named here.
    """

    talkers: int = 2
    min_history_turns: int = 1
    absent_probability: float = 0.0
    same_dialogue_probability: float = 0.0
    same_gender_probability: float = 0.0
    same_topic_probability: float = 0.0
    overlap: Range | None = None
    cut_probability: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_one_of("talkers", self.talkers, (2, 3))
        check_least("min_history_turns", self.min_history_turns, 0)
        check_least("seed", self.seed, 0)
        for name in ("absent", "same_dialogue", "same_gender", "same_topic", "cut"):
            check_share(f"{name}_probability", getattr(self, f"{name}_probability"))
        if self.overlap is not None:
            check_range("overlap", self.overlap)
            if not 0 <= self.overlap[0] <= self.overlap[1] <= 1:
                raise ConfigError(f"overlap: got {list(self.overlap)}, expected ratios between 0 and 1")


@dataclass(frozen=True)
class Plan:
    """One mixture before it sounds.

    Attributes:
        index: Its place in the set; with the seed, all that its random numbers depend on.
        asked: The utterance that continues the history. It is the target, if it is in the mixture.
        talkers: Who is heard: the target first, or interferers only.
        snr_db: How much stronger the first talker is than each of the others.
        enrollment: Another utterance of the speaker of `asked` in another file; None where there is none.
        timing: When they begin, and whether they are cut.
    """

    index: int
    id: str
    seed: int
    asked: Utterance
    talkers: tuple[Utterance, ...]
    snr_db: tuple[float, ...]
    enrollment: Utterance | None
    timing: Timing = field(default_factory=Timing)

    @property
    def target(self) -> Utterance | None:
        """Who continues the history; None where nobody does."""
        return self.asked if self.talkers[0] is self.asked else None

    @property
    def interferers(self) -> tuple[Utterance, ...]:
        """All talkers but the target."""
        return self.talkers if self.target is None else self.talkers[1:]

    def random(self, purpose: int) -> np.random.Generator:
        """Random numbers for the room, the noise or the channel."""
        return stream(self.seed, self.index, purpose)


class Planner:
    """Draws targets, interferers, levels and enrollments from one split of a corpus.

    Args:
        utterances: All that may talk, as targets or as interferers. Their order counts.
        config: Who may be in a mixture.

    Raises:
        ManifestError: Too few talkers or dialogues, no utterance with enough history, or no gender or topic where it
            is needed.
    """

    def __init__(self, utterances: Sequence[Utterance], config: PlanConfig) -> None:
        self._utterances = utterances
        self._config = config
        self._casting = Casting(
            utterances, talkers=config.talkers, min_history_turns=config.min_history_turns, cued=False
        )
        self._casting.check(config)
        # shuffled, so that the first hundred of a manifest sorted by speaker are not all of one
        targets = self._casting.targets
        self._targets = targets[stream(config.seed, 0, ORDER).permutation(len(targets))]

    def __len__(self) -> int:
        """Number of mixtures: every target once."""
        return len(self._targets)

    def plan(self, index: int) -> Plan:
        """Draw mixture `index`."""
        config, asked = self._config, int(self._targets[index])
        rng = stream(config.seed, index, TALKERS)
        absent = stream(config.seed, index, ABSENCE).random() < config.absent_probability
        cast = self._casting.cast(asked, config, rng, absent=bool(absent))
        snr_db = tuple(sample_snr_db(rng) for _ in cast[1:])
        enrollment = self._casting.enrollment(asked, rng)
        return Plan(
            index=index,
            id=mixture_id(index, self._utterances[asked]),
            seed=config.seed,
            asked=self._utterances[asked],
            talkers=tuple(self._utterances[one] for one in cast),
            snr_db=snr_db,
            enrollment=None if enrollment is None else self._utterances[enrollment],
            timing=timing(config, index, len(cast)),
        )


def stream(seed: int, index: int, purpose: int) -> np.random.Generator:
    """Random numbers of one purpose in mixture `index`.

    >>> float(stream(0, 5, ROOM).random()) == float(stream(0, 5, ROOM).random())
    True
    """
    return np.random.default_rng((purpose, seed, index))


def timing(config: PlanConfig, index: int, talkers: int) -> Timing:
    """Draw when the talkers of mixture `index` begin."""
    return draw_timing(
        stream(config.seed, index, TIMING),
        talkers=talkers,
        overlap=config.overlap,
        cut_probability=config.cut_probability,
    )


def mixture_id(index: int, asked: Utterance) -> str:
    """A name for mixture `index` that can be the name of a folder."""
    return f"{index:06d}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', asked.id)[:80]}"
