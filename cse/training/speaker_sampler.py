"""Who talks in a training mixture: different speakers, in one corpus or of one pitch as often as asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from cse.errors import ManifestError
from cse.manifest import Utterance
from cse.training.pitch import Pitches
from cse.training.waveform_cache import WaveformCache
from simulate.casting import chance, check_speakers

Speakers = list[list[int]]
"""The utterances of each, by their numbers."""

_CLOSEST_OF = 8


class SpeakerSampler:
    """Draws the talkers of mixtures.

    Args:
        speech: Decoded utterances.
        talkers: As many as a mixture may have.
        one_corpus: See `MixingConfig.one_corpus_probability`.
        close_pitch: See `MixingConfig.close_pitch_probability`.

    Raises:
        ManifestError: If there are fewer speakers than talkers in a mixture, or in every corpus where one is asked for.
    """

    def __init__(
        self, speech: WaveformCache, *, talkers: int, one_corpus: float = 0.0, close_pitch: float = 0.0
    ) -> None:
        by_speaker: dict[str, list[int]] = defaultdict(list)
        for number, utterance in enumerate(speech.utterances):
            by_speaker[utterance.speaker].append(number)
        check_speakers(len(by_speaker), talkers)
        self._speakers = list(by_speaker.values())
        self._corpora = _Corpora(speech.utterances, self._speakers, talkers) if one_corpus else None
        self._one_corpus = one_corpus
        self._close_pitch = close_pitch
        self._pitches = Pitches(speech)

    def draw(self, count: int, rng: np.random.Generator) -> Speakers:
        """Of each of `count` different speakers, the utterances that may be heard."""
        speakers = self._speakers
        if self._corpora and chance(self._one_corpus, rng):
            speakers = self._corpora.draw(rng)
        if count > 1 and chance(self._close_pitch, rng):
            return self._close(speakers, count, rng)
        return _any(speakers, count, rng)

    def _close(self, speakers: Speakers, count: int, rng: np.random.Generator) -> Speakers:
        """One utterance of each of some speakers, all of nearly one pitch."""
        most = min(len(speakers), 1 + _CLOSEST_OF * (count - 1))
        first, *others = [int(rng.choice(own)) for own in _any(speakers, most, rng)]
        others.sort(key=lambda other: self._pitches.distance(first, other))
        return [[utterance] for utterance in (first, *others[: count - 1])]


class _Corpora:
    """The speakers of each corpus that has enough of them for a mixture."""

    def __init__(self, utterances: Sequence[Utterance], speakers: Speakers, talkers: int) -> None:
        found: dict[object, Speakers] = defaultdict(list)
        for own in speakers:
            found[utterances[own[0]].extra.get("corpus")].append(own)
        self._speakers = [those for corpus, those in found.items() if corpus and len(those) >= talkers]
        if not self._speakers:
            raise ManifestError(
                f"one_corpus_probability: got no corpus with {talkers} speakers or more, expected one; set it to 0, or "
                "name the `corpus` of each utterance in its manifest"
            )
        lengths_s = [
            sum(utterances[number].duration_s for own in those for number in own) for those in self._speakers
        ]
        self._shares = np.array(lengths_s) / sum(lengths_s)

    def draw(self, rng: np.random.Generator) -> Speakers:
        """Those of one corpus, in proportion to how long it is."""
        return self._speakers[rng.choice(len(self._speakers), p=self._shares)]


def _any(speakers: Speakers, count: int, rng: np.random.Generator) -> Speakers:
    return [speakers[number] for number in rng.choice(len(speakers), count, replace=False)]
