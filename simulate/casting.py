"""Who is put into a mixture with whom: targets, interferers, strangers, and other utterances of a voice.

Training (`cse.training.dialogue_mixtures`) and rendering (`simulate.plan`) both come here. A draw takes a time that
does not depend on the size of the corpus, but for one that hardly any utterance fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from cse.errors import ManifestError
from cse.manifest import Utterance

_UNKNOWN = -1
_TRIES = 50


class CastingRules(Protocol):
    """Options that say who may be in a mixture; configs of training and of rendering have them.

    Attributes:
        talkers: Talkers in a mixture, S.
        absent_probability: Share of mixtures in which nobody continues the history: it is from another dialogue, and
            its next speaker is not in the mixture.
        same_dialogue_probability: Share of interferers that are the other talkers of the target's dialogue; without it
            interferers are from other dialogues.
        same_gender_probability: Share of the others that must have the gender of the target.
        same_topic_probability: Share of the others that must have the topic of the target's dialogue.
    """

    @property
    def talkers(self) -> int: ...
    @property
    def absent_probability(self) -> float: ...
    @property
    def same_dialogue_probability(self) -> float: ...
    @property
    def same_gender_probability(self) -> float: ...
    @property
    def same_topic_probability(self) -> float: ...


class Casting:
    """Chooses utterances by who speaks them, in which dialogue and about what.

    Args:
        utterances: To choose from; `extra` may have `gender` and `topic`.
        talkers: Talkers in a mixture, S.
        min_history_turns: An utterance with fewer turns before it is no target.
        cued: Targets have a cue at least: a history, or another utterance of their speaker.

    Raises:
        ManifestError: If there are too few speakers, no utterance that can be a target, or two speakers in one file.
    """

    def __init__(
        self, utterances: Sequence[Utterance], *, talkers: int, min_history_turns: int, cued: bool = True
    ) -> None:
        self._speaker = _codes([utterance.speaker for utterance in utterances])
        self._audio = _codes([str(utterance.audio) for utterance in utterances])
        self._dialogue = _codes([utterance.dialogue for utterance in utterances])
        alone = self._dialogue == _UNKNOWN  # a dialogue of its own each
        self._dialogue[alone] = self._dialogue.max() + 1 + np.arange(np.count_nonzero(alone))
        self._traits = {
            trait: _codes([_trait(utterance, trait) for utterance in utterances])
            for trait in ("gender", "topic")
        }
        self._everyone = np.arange(len(utterances))
        self._of_speaker = _members(self._speaker)
        self._of_file = _members(self._audio)
        self._of_dialogue = _members(self._dialogue)
        self._of_trait = {trait: _members(codes) for trait, codes in self._traits.items()}
        check_speakers(len(self._of_speaker), talkers)
        self._check_files(utterances)
        self.targets = self._targets(utterances, min_history_turns, cued)

    def _check_files(self, utterances: Sequence[Utterance]) -> None:
        firsts = np.array([files[0] for files in self._of_file])[self._audio]
        for index in np.flatnonzero(self._speaker != self._speaker[firsts])[:1]:
            both = utterances[firsts[index]], utterances[index]
            raise ManifestError(
                f"utterances {both[0].id} and {both[1].id}: got the speakers {both[0].speaker} and {both[1].speaker} "
                f"in one file, {both[0].audio}, expected one; cut it up"
            )

    def _targets(self, utterances: Sequence[Utterance], min_history_turns: int, cued: bool) -> np.ndarray:
        turns = np.array([len(utterance.history) for utterance in utterances])
        targets = turns >= min_history_turns
        if cued:
            heard_elsewhere = np.array([len(np.unique(self._audio[of])) > 1 for of in self._of_speaker])
            targets &= (turns > 0) | heard_elsewhere[self._speaker]
        if not targets.any():
            raise ManifestError(
                f"got no utterance with {max(1, min_history_turns)} turn(s) of history (the most are {turns.max()}), "
                "expected some, as targets; give utterances their `history` or lower `min_history_turns`"
            )
        return np.flatnonzero(targets)

    # ---- what the corpus must have

    def check(self, rules: CastingRules) -> None:
        """Refuse a corpus that cannot be cast by these rules, before the first draw.

        Raises:
            ManifestError: It lacks dialogues, speakers, genders or topics; the message names the option.
        """
        if rules.same_gender_probability:
            self._check_trait("gender", "same_gender_probability")
        if rules.same_topic_probability:
            self._check_trait("topic", "same_topic_probability")
        if rules.same_dialogue_probability:
            self._check_shared_dialogues("same_dialogue_probability")
        if rules.absent_probability:
            self._check_strangers(rules.talkers, "mixtures without a target (absent_probability)")
        else:
            self._check_strangers(rules.talkers - 1, f"mixtures of {rules.talkers} talkers")

    def _check_trait(self, trait: str, option: str) -> None:
        if not np.any(self._traits[trait] != _UNKNOWN):
            raise ManifestError(
                f"{option}: got no utterance with a {trait!r}, expected it as a key of the manifest's lines; "
                f"write it there or set {option} to 0"
            )

    def _check_shared_dialogues(self, option: str) -> None:
        pairs = np.unique(np.stack([self._dialogue, self._speaker]), axis=1)
        if len(np.unique(pairs[0])) == pairs.shape[1]:
            raise ManifestError(
                f"{option}: got no dialogue in which two speakers talk, expected some; give utterances their "
                f"`dialogue` or set {option} to 0"
            )

    def _check_strangers(self, wanted: int, reason: str) -> None:
        """Refuse a corpus in which some target has fewer other speakers in other dialogues than a mixture needs."""
        pairs = np.unique(np.stack([self._speaker, self._dialogue]), axis=1)
        dialogues_of = np.bincount(pairs[0])
        # speakers that are heard nowhere else, by dialogue
        only = np.bincount(pairs[1], weights=dialogues_of[pairs[0]] == 1).astype(int)
        own_elsewhere = dialogues_of[self._speaker[self.targets]] > 1
        here = only[self._dialogue[self.targets]]
        fewest = int((len(self._of_speaker) - here - own_elsewhere).min())
        if fewest < wanted:
            raise ManifestError(
                f"got a target with {fewest} other speaker(s) in other dialogues, expected at least {wanted} for "
                f"{reason}; add speakers or dialogues, or lower `talkers`"
            )

    # ---- draws

    def cast(
        self, asked: int, rules: CastingRules, rng: np.random.Generator, *, absent: bool = False
    ) -> list[int]:
        """Draw who talks in a mixture: S utterances of different speakers.

        Args:
            asked: The utterance that continues the history.
            rules: Who may be in the mixture; `check` has passed them.
            rng: Decides.
            absent: Leave the utterance out, and its speaker and its dialogue.

        Returns:
            The target first; where it is absent, interferers only.
        """
        cast = [] if absent else [asked]
        while len(cast) < rules.talkers:
            same_dialogue = chance(rules.same_dialogue_probability, rng) and not absent
            same_topic = chance(rules.same_topic_probability, rng)
            same_gender = chance(rules.same_gender_probability, rng)
            alike = ["topic"] * same_topic + ["gender"] * same_gender
            taken = [asked, *cast]
            chosen = self.inside(asked, taken, rng) if same_dialogue else None
            if chosen is None:
                chosen = self.outside(asked, taken, rng, alike=alike)
            assert chosen is not None, "Casting.check has counted them"
            cast.append(chosen)
        return cast

    def inside(self, target: int, taken: Sequence[int], rng: np.random.Generator) -> int | None:
        """An utterance of the target's dialogue by none of the speakers of the utterances `taken`, if there is one."""
        dialogue = self._of_dialogue[self._dialogue[target]]
        others = dialogue[self._by_others(dialogue, taken)]
        return int(others[rng.integers(len(others))]) if len(others) else None

    def outside(
        self, target: int, taken: Sequence[int], rng: np.random.Generator, *, alike: Sequence[str] = ()
    ) -> int | None:
        """An utterance of another dialogue, by none of the speakers of the utterances `taken`.

        Args:
            target: Whose dialogue is left out.
            taken: Utterances whose speakers are left out.
            rng: Decides; all utterances that fit are equally likely.
            alike: Traits (`gender`, `topic`) that it shares with the target, as far as there is such an utterance.
        """
        shared = [trait for trait in alike if self._traits[trait][target] != _UNKNOWN]
        groups = [self._of_trait[trait][self._traits[trait][target]] for trait in shared]
        group = min(groups, key=len, default=self._everyone)
        dialogue, speakers = self._dialogue[target], {int(self._speaker[one]) for one in taken}
        # a few draws nearly always do; looking through the whole corpus each time would take quadratic time
        for _ in range(_TRIES):
            one = int(group[rng.integers(len(group))])
            stranger = self._dialogue[one] != dialogue and int(self._speaker[one]) not in speakers
            if stranger and all(self._traits[trait][one] == self._traits[trait][target] for trait in shared):
                return one
        return self._among_all(target, taken, rng, shared)

    def _among_all(
        self, target: int, taken: Sequence[int], rng: np.random.Generator, shared: Sequence[str]
    ) -> int | None:
        pool = self._by_others(self._everyone, taken) & (self._dialogue != self._dialogue[target])
        for trait in shared:
            codes = self._traits[trait]
            alike = pool & (codes == codes[target])
            pool = alike if alike.any() else pool
        candidates = np.flatnonzero(pool)
        return int(candidates[rng.integers(len(candidates))]) if len(candidates) else None

    def enrollment(self, utterance: int, rng: np.random.Generator) -> int | None:
        """Another utterance of its speaker in another audio file, if there is one."""
        same_voice = self._of_speaker[self._speaker[utterance]]
        same_file = np.searchsorted(same_voice, self._of_file[self._audio[utterance]])
        others = len(same_voice) - len(same_file)
        if not others:
            return None
        place = int(rng.integers(others))
        for skipped in same_file:  # in order: `place` counts the utterances in other files only
            place += int(skipped <= place)
        return int(same_voice[place])

    def same_voice(self, utterance: int, unlike: Sequence[int]) -> np.ndarray:
        """Utterances of its speaker in other audio files than its own and those of `unlike`, (n,) int."""
        of_speaker = self._of_speaker[self._speaker[utterance]]
        return of_speaker[~np.isin(self._audio[of_speaker], self._audio[[utterance, *unlike]])]

    def _by_others(self, utterances: np.ndarray, taken: Sequence[int]) -> np.ndarray:
        return ~np.isin(self._speaker[utterances], self._speaker[list(taken)])


def check_speakers(speakers: int, talkers: int) -> None:
    """Refuse a corpus in which there are fewer speakers than talkers in a mixture.

    Raises:
        ManifestError: With both numbers.
    """
    if speakers < talkers:
        raise ManifestError(
            f"got utterances of {speakers} speaker(s), expected at least {talkers} for mixtures of "
            f"{talkers} talkers; add speakers or lower `talkers`"
        )


def chance(probability: float, rng: np.random.Generator) -> bool:
    """Whether what happens with this probability happens; what never does draws nothing."""
    return probability > 0 and bool(rng.random() < probability)


def _trait(utterance: Utterance, trait: str) -> str | None:
    value = utterance.extra.get(trait)
    return None if value is None else str(value)


def _codes(values: Sequence[str | None]) -> np.ndarray:
    """A number for each different value, −1 for None.

    >>> _codes(["a", None, "b", "a"]).tolist()
    [0, -1, 1, 0]
    """
    numbers: dict[str, int] = {}
    return np.array(
        [_UNKNOWN if value is None else numbers.setdefault(value, len(numbers)) for value in values]
    )


def _members(codes: np.ndarray) -> list[np.ndarray]:
    """For each code its places, in order; in a time that does not grow with the number of codes.

    >>> [places.tolist() for places in _members(np.array([0, -1, 1, 0]))]
    [[0, 3], [2]]
    """
    order = np.argsort(codes, kind="stable")
    first = int(np.searchsorted(codes[order], 0))
    known = order[first:]
    return np.split(known, np.flatnonzero(np.diff(codes[known])) + 1) if len(known) else []
