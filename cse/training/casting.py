"""Who is put into a mixture with whom: targets, interferers, strangers, and other utterances of a voice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cse.errors import ManifestError
from cse.manifest import Utterance
from cse.training.mixtures import check_speakers

_UNKNOWN = -1


class Casting:
    """Chooses utterances by who speaks them, in which dialogue and about what.

    Args:
        utterances: To choose from; `extra` may have `gender` and `topic`.
        talkers: Talkers in a mixture, S.
        min_history_turns: An utterance with fewer turns before it is no target.

    Raises:
        ManifestError: If there are too few speakers, or no utterance that can be a target.
    """

    def __init__(self, utterances: Sequence[Utterance], *, talkers: int, min_history_turns: int) -> None:
        self._speaker = _codes([utterance.speaker for utterance in utterances])
        self._audio = _codes([str(utterance.audio) for utterance in utterances])
        self._dialogue = _codes([utterance.dialogue for utterance in utterances])
        alone = self._dialogue == _UNKNOWN  # a dialogue of its own each
        self._dialogue[alone] = -1 - np.arange(len(utterances))[alone]
        self._traits = {
            trait: _codes([_trait(utterance, trait) for utterance in utterances])
            for trait in ("gender", "topic")
        }
        self._of_speaker = [np.flatnonzero(self._speaker == code) for code in range(self._speaker.max() + 1)]
        check_speakers(len(self._of_speaker), talkers)
        turns = np.array([len(utterance.history) for utterance in utterances])
        heard_elsewhere = np.array([len(np.unique(self._audio[of])) > 1 for of in self._of_speaker])
        cued = (turns > 0) | heard_elsewhere[self._speaker]
        self.targets = np.flatnonzero((turns >= min_history_turns) & cued)
        if not len(self.targets):
            raise ManifestError(
                f"got no utterance with {max(1, min_history_turns)} turn(s) of history (the most are {turns.max()}), "
                "expected some, as targets; give utterances their `history` or lower `min_history_turns`"
            )

    def check_trait(self, trait: str, option: str) -> None:
        """Refuse a corpus whose utterances do not say their gender or topic.

        Raises:
            ManifestError: Naming the option that needs them.
        """
        if not np.any(self._traits[trait] != _UNKNOWN):
            raise ManifestError(
                f"{option}: got no utterance with a {trait!r}, expected it as a key of the manifest's lines; "
                f"write it there or set {option} to 0"
            )

    def check_shared_dialogues(self, option: str) -> None:
        """Refuse a corpus without a dialogue of two talkers.

        Raises:
            ManifestError: Naming the option that needs one.
        """
        pairs = np.unique(np.stack([self._dialogue, self._speaker]), axis=1)
        if len(np.unique(pairs[0])) == pairs.shape[1]:
            raise ManifestError(
                f"{option}: got no dialogue in which two speakers talk, expected some; give utterances their "
                f"`dialogue` or set {option} to 0"
            )

    def check_strangers(self, wanted: int, reason: str) -> None:
        """Refuse a corpus in which some target has fewer other speakers in other dialogues than a mixture needs.

        Raises:
            ManifestError: With both numbers.
        """
        pairs = np.unique(np.stack([self._speaker, self._dialogue]), axis=1)
        dialogues_of = np.bincount(pairs[0])
        only = {int(d): 0 for d in np.unique(self._dialogue)}  # speakers that are heard nowhere else
        for speaker, dialogue in pairs.T:
            only[int(dialogue)] += int(dialogues_of[speaker] == 1)
        own_elsewhere = dialogues_of[self._speaker[self.targets]] > 1
        here = np.array([only[int(dialogue)] for dialogue in self._dialogue[self.targets]])
        fewest = int((len(self._of_speaker) - here - own_elsewhere).min())
        if fewest < wanted:
            raise ManifestError(
                f"got a target with {fewest} other speaker(s) in other dialogues, expected at least {wanted} for "
                f"{reason}; add speakers or dialogues, or lower `talkers`"
            )

    def inside(self, target: int, taken: Sequence[int], rng: np.random.Generator) -> int | None:
        """An utterance of the target's dialogue by none of the speakers of the utterances `taken`, if there is one."""
        return _pick(self._others(taken) & (self._dialogue == self._dialogue[target]), rng)

    def outside(
        self, target: int, taken: Sequence[int], rng: np.random.Generator, *, alike: Sequence[str] = ()
    ) -> int | None:
        """An utterance of another dialogue, by none of the speakers of the utterances `taken`.

        Args:
            target: Whose dialogue is left out.
            taken: Utterances whose speakers are left out.
            rng: Decides.
            alike: Traits (`gender`, `topic`) that it shares with the target, as far as there is such an utterance.
        """
        pool = self._others(taken) & (self._dialogue != self._dialogue[target])
        for trait in alike:
            codes = self._traits[trait]
            shared = pool & (codes == codes[target])
            if codes[target] != _UNKNOWN and shared.any():
                pool = shared
        return _pick(pool, rng)

    def same_voice(self, utterance: int, unlike: Sequence[int]) -> np.ndarray:
        """Utterances of its speaker in other audio files than its own and those of `unlike`, (n,) int."""
        of_speaker = self._of_speaker[self._speaker[utterance]]
        return of_speaker[~np.isin(self._audio[of_speaker], self._audio[[utterance, *unlike]])]

    def _others(self, taken: Sequence[int]) -> np.ndarray:
        return ~np.isin(self._speaker, self._speaker[list(taken)])


def _pick(pool: np.ndarray, rng: np.random.Generator) -> int | None:
    candidates = np.flatnonzero(pool)
    return int(candidates[rng.integers(len(candidates))]) if len(candidates) else None


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
