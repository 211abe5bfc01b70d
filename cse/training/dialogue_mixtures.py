"""Training mixtures with their cues: the dialogue up to the target, and another sample of the target's voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from cse.errors import ConfigError
from cse.history import Turn
from cse.training.cue_dropout import CueDropout, check_cues
from cse.training.mixer import Mixer
from cse.training.mixtures import MixingConfig, Mixtures
from cse.training.waveform_cache import WaveformCache
from simulate.casting import Casting

_WITHOUT_DIALOGUES = ("count_weights", "one_corpus_probability", "close_pitch_probability")


@dataclass(frozen=True, kw_only=True)
class DialogueConfig(MixingConfig, CueDropout):
    """How training mixtures with cues are made; what it shares with its bases means the same here.

    Attributes:
        max_history_turns: Most turns of a history, the last ones.
        min_history_turns: Utterances with fewer turns before them are no targets.
        random_history_turns: Cut each history to a random number of last turns, 1 to `max_history_turns`.
        enrollment_s: Shortest and longest enrollment in seconds; a shorter utterance is one as a whole.
        absent_probability: Share of mixtures in which nobody continues the history: it is from another dialogue, its
            next speaker and the enrollment are of somebody who is not in the mixture.
        swapped_enrollment_probability: Of the mixtures with a target and both cues, the share in which the enrollment
            is that of an interferer or (as often) of somebody who is not in the mixture, so that the history decides.
        same_dialogue_probability: Share of interferers that are the other talkers of the target's dialogue; without it
            interferers are from other dialogues.
        same_gender_probability: Share of the others that must have the gender of the target.
        same_topic_probability: Share of the others that must have the topic of the target's dialogue.

    Raises:
        ConfigError: A value outside of what is named here, or one of how talkers are drawn without dialogues.
    """

    max_history_turns: int = 100
    min_history_turns: int = 1
    random_history_turns: bool = True
    enrollment_s: tuple[float, float] = (2.0, 5.0)
    absent_probability: float = 0.0
    swapped_enrollment_probability: float = 0.0
    same_dialogue_probability: float = 0.0
    same_gender_probability: float = 0.0
    same_topic_probability: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        CueDropout.__post_init__(self)
        check_cues(max_history_turns=self.max_history_turns, enrollment_s=self.enrollment_s)
        for name in _WITHOUT_DIALOGUES:
            if getattr(self, name):
                raise ConfigError(
                    f"{name}: got {getattr(self, name)} with cues, where dialogues say who talks, expected none; leave "
                    "it out"
                )

    def mixtures(
        self, *, speech: WaveformCache, seed: int, length: int, noise: WaveformCache | None
    ) -> DialogueMixtures:
        """The data set that is made in this way."""
        return DialogueMixtures(speech=speech, config=self, seed=seed, length=length, noise=noise)

    def for_validation(self, *, segment_s: float) -> Self:
        """The same with both cues in full and right wherever there are any."""
        return replace(
            super().for_validation(segment_s=segment_s),
            random_history_turns=False,
            history_dropout=0.0,
            enrollment_dropout=0.0,
            both_dropout=0.0,
            swapped_enrollment_probability=0.0,
        )


class DialogueMixtures(Mixtures):
    """Mixtures of different talkers, one of whom continues a dialogue, by the paper's rule (`simulate.mixing`).

    Args:
        speech: Decoded utterances, with their histories.
        config: How to mix and which cues to give.
        seed: See `Mixtures`.
        length: See `Mixtures`.
        noise: Decoded ambient noise, needed where `config.noise_probability` is above 0.

    Raises:
        ManifestError: If the utterances lack what `config` asks for: speakers, histories, dialogues, genders or topics.
    """

    def __init__(
        self,
        *,
        speech: WaveformCache,
        config: DialogueConfig,
        seed: int,
        length: int,
        noise: WaveformCache | None = None,
    ) -> None:
        super().__init__(mixer=Mixer(speech=speech, noise=noise, config=config), seed=seed, length=length)
        self.config = config
        self._utterances = speech.utterances
        self._rate = speech.sample_rate
        self._casting = Casting(
            speech.utterances, talkers=config.talkers, min_history_turns=config.min_history_turns
        )
        self._casting.check(config)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A mixture and the cues to one of its talkers.

        Returns:
            `mixture` (T,) and `talkers` (S, T) float32 at the cache's rate, talkers at their level in the mixture;
            `target` int, which talker continues the history, −1 where nobody does;
            `history` list of turns, oldest first, empty where the cue is dropped, and `next_speaker` str, or None then;
            `enrollment` (T_e,) float32 of the target's voice as fast as in the mixture, None where the cue is dropped
            or the speaker has no other utterance;
            `histories` of all talkers, in their order, each cut at random as the target's, for contrastive objectives.
        """
        rng = self._random(index)
        targets = self._casting.targets
        asked = int(targets[rng.integers(len(targets))])
        absent = bool(rng.random() < self.config.absent_probability)
        cast = self._casting.cast(asked, self.config, rng, absent=absent)
        mixed = self._mixer.mixture([[utterance] for utterance in cast], rng)
        places = rng.permutation(len(cast))
        return {
            "mixture": torch.from_numpy(mixed.mixture),
            "talkers": torch.from_numpy(mixed.talkers[places]),
            "target": -1 if absent else int(np.flatnonzero(places == 0)[0]),
            **self._cues(_Scene(asked, absent, cast, mixed.speeds), rng),
            "histories": [self._history(cast[place], rng) for place in places],
        }

    @staticmethod
    def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """B items as a batch: `mixture` (B, T), `talkers` (B, S, T), `target` (B,) int64; cues as lists of length B."""
        batch = Mixtures.collate(items)
        return {**batch, "target": torch.tensor(batch["target"])}

    def _cues(self, scene: _Scene, rng: np.random.Generator) -> dict[str, Any]:
        config = self.config
        history = self._history(scene.asked, rng)
        voice = self._casting.same_voice(scene.asked, scene.cast)
        has_history, has_enrollment = config.kept(bool(history), len(voice) > 0, rng)
        owner, speed = voice, None if scene.absent else scene.speeds[0]
        swapped = rng.random() < config.swapped_enrollment_probability
        if swapped and has_history and has_enrollment and not scene.absent:
            owner, speed = self._impostor(scene, rng) or (owner, speed)
        return {
            "history": history if has_history else [],
            "next_speaker": self._utterances[scene.asked].speaker if has_history else None,
            "enrollment": self._enrollment(owner, speed, rng) if has_enrollment else None,
        }

    def _history(self, utterance: int, rng: np.random.Generator) -> list[Turn]:
        """The last turns before an utterance, as many as the options say."""
        turns = self._utterances[utterance].history
        length = min(len(turns), self.config.max_history_turns)
        if self.config.random_history_turns and length:
            length = int(rng.integers(1, length + 1))
        return list(turns[len(turns) - length :])

    def _impostor(self, scene: _Scene, rng: np.random.Generator) -> tuple[np.ndarray, float | None] | None:
        """Utterances of an interferer or of somebody else, and how fast that voice is in the mixture."""
        found: list[tuple[np.ndarray, float | None]] = []
        if len(scene.cast) > 1:
            place = int(rng.integers(1, len(scene.cast)))
            found.append((self._casting.same_voice(scene.cast[place], scene.cast), scene.speeds[place]))
        stranger = self._casting.outside(scene.asked, scene.cast, rng)
        if stranger is not None:
            found.append((np.array([stranger]), None))
        if rng.random() < 0.5:
            found.reverse()
        return next((voice for voice in found if len(voice[0])), None)

    def _enrollment(self, voice: np.ndarray, speed: float | None, rng: np.random.Generator) -> Tensor:
        samples = round(float(rng.uniform(*self.config.enrollment_s)) * self._rate)
        # as fast as in the mixture: another speed has another pitch, and is another voice
        return torch.from_numpy(self._mixer.piece(voice, samples, rng, speed=speed)[0])


class _Scene(NamedTuple):
    """Whose continuation is asked for, and who talks in the mixture: utterances and speeds, the target first."""

    asked: int
    absent: bool
    cast: Sequence[int]
    speeds: Sequence[float]
