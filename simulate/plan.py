"""Who talks over whom: the draws behind every mixture, made before any audio is read.

Each mixture is a function of (utterances, options, seed, index) alone, so it does not matter which process
renders it, in which order, or which others were rendered before.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cse.errors import ManifestError
from cse.manifest import Utterance
from simulate.mixing import sample_snr_db

# Independent streams of random numbers of one mixture: rooms and noise do not change who talks.
TALKERS, ROOM, NOISE, ORDER = range(4)
_TRIES = 100


def stream(seed: int, index: int, purpose: int) -> np.random.Generator:
    """Random numbers of one purpose in mixture `index`.

    >>> float(stream(0, 5, ROOM).random()) == float(stream(0, 5, ROOM).random())
    True
    """
    return np.random.default_rng((purpose, seed, index))


@dataclass(frozen=True)
class Plan:
    """One mixture before it sounds.

    Attributes:
        index: Its place in the set; with the seed, all that its random numbers depend on.
        interferers: Of other talkers and other dialogues than the target, and of different talkers.
        snr_db: How much stronger the target is than each interferer.
        enrollment: Another utterance of the target's talker in another file; None where there is none.
    """

    index: int
    id: str
    target: Utterance
    interferers: tuple[Utterance, ...]
    snr_db: tuple[float, ...]
    enrollment: Utterance | None


class Planner:
    """Draws targets, interferers, levels and enrollments from one split of a corpus.

    Args:
        utterances: All that may talk, as targets or as interferers. Their order counts.
        talkers: Talkers in a mixture, S.
        min_history_turns: Only utterances with at least so many previous turns become targets.
        seed: Of all draws.

    Raises:
        ManifestError: Too few talkers, or no utterance with enough history.
    """

    def __init__(
        self, utterances: Sequence[Utterance], *, talkers: int, min_history_turns: int, seed: int
    ) -> None:
        speakers = len({utterance.speaker for utterance in utterances})
        if speakers < talkers:
            raise ManifestError(
                f"got {len(utterances)} utterances of {speakers} speaker(s), expected at least {talkers}"
                f" speakers for mixtures of {talkers} talkers; add speakers or ask for fewer talkers"
            )
        targets = [utterance for utterance in utterances if len(utterance.history) >= min_history_turns]
        if not targets:
            raise ManifestError(
                f"none of {len(utterances)} utterances has {min_history_turns} or more turns of history;"
                " lower min_history_turns (0 takes utterances without history too)"
            )
        self._utterances = list(utterances)
        self._talkers = talkers
        self._seed = seed
        # shuffled, so that the first hundred of a manifest sorted by speaker are not all of one
        order = stream(seed, 0, ORDER).permutation(len(targets))
        self._targets = [targets[place] for place in order]
        self._by_speaker: dict[str, list[Utterance]] = defaultdict(list)
        for utterance in utterances:
            self._by_speaker[utterance.speaker].append(utterance)

    def __len__(self) -> int:
        """Number of mixtures: every target once."""
        return len(self._targets)

    def plan(self, index: int) -> Plan:
        """Draw mixture `index`.

        Raises:
            ManifestError: Nobody of another dialogue can talk over this target.
        """
        rng = stream(self._seed, index, TALKERS)
        target = self._targets[index]
        chosen = [target]
        while len(chosen) < self._talkers:
            chosen.append(self._interferer(chosen, rng))
        interferers = tuple(chosen[1:])
        snr_db = tuple(sample_snr_db(rng) for _ in interferers)
        others = [other for other in self._by_speaker[target.speaker] if other.audio != target.audio]
        enrollment = others[int(rng.integers(len(others)))] if others else None
        name = f"{index:06d}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', target.id)[:80]}"
        return Plan(index, name, target, interferers, snr_db, enrollment)

    def _interferer(self, chosen: Sequence[Utterance], rng: np.random.Generator) -> Utterance:
        # a few draws nearly always do; looking through the whole corpus each time would take quadratic time
        for _ in range(_TRIES):
            candidate = self._utterances[int(rng.integers(len(self._utterances)))]
            if _may_join(candidate, chosen):
                return candidate
        candidates = [candidate for candidate in self._utterances if _may_join(candidate, chosen)]
        if not candidates:
            raise ManifestError(
                f"utterance {chosen[0].id}: no interferer of another speaker, dialogue and file is left among"
                f" {len(self._utterances)} utterances; add dialogues or ask for fewer talkers"
            )
        return candidates[int(rng.integers(len(candidates)))]


def _may_join(candidate: Utterance, chosen: Sequence[Utterance]) -> bool:
    target = chosen[0]
    if candidate.dialogue is not None and candidate.dialogue == target.dialogue:
        return False
    return all(candidate.speaker != other.speaker and candidate.audio != other.audio for other in chosen)
