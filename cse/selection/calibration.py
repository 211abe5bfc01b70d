"""From scores of text and voice to honest probabilities over the talkers and "none of them"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Self, TypeVar

import numpy as np

from cse.errors import CheckpointError, ConfigError

W = TypeVar("W")


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ConfigError(f"calibration: got {name}={value}, expected a number above 0")


@dataclass(frozen=True, kw_only=True)
class TextWeights:
    """How much a scorer's scores say: log-odds = weight · n / (n + half_words) · (score − offset).

    n is the number of words that were probably recognised right (the sum of their confidences): a short
    answer, or one of which little was understood, says little about whether it belongs to the conversation.

    Attributes:
        weight: Log-odds per unit of score for long answers, above 0.
        offset: The score that is as likely for the right talker as for any other.
        half_words: The n at which half of the weight is reached, above 0.
    """

    weight: float
    offset: float
    half_words: float

    def __post_init__(self) -> None:
        _check_positive(weight=self.weight, half_words=self.half_words)

    def log_odds(self, scores: np.ndarray, words: np.ndarray) -> np.ndarray:
        """(S,) scores and numbers of words to (S,) log-odds; no words, no evidence."""
        return self.weight * words / (words + self.half_words) * (scores - self.offset)


@dataclass(frozen=True, kw_only=True)
class VoiceWeights:
    """How much a voice encoder's similarities say: log-odds = weight · (cosine − offset).

    Attributes:
        weight: Log-odds per unit of cosine, above 0.
        offset: The cosine that is as likely for the right talker as for any other.
    """

    weight: float
    offset: float

    def __post_init__(self) -> None:
        _check_positive(weight=self.weight)

    def log_odds(self, scores: np.ndarray) -> np.ndarray:
        """(S,) cosines to (S,) log-odds."""
        return self.weight * (scores - self.offset)


UNFITTED_TEXT: Mapping[str, TextWeights] = MappingProxyType(
    {
        "next-turn": TextWeights(weight=1.0, offset=0.0, half_words=2.0),
        "minilm": TextWeights(weight=15.0, offset=0.2, half_words=3.0),
        "causal-lm": TextWeights(weight=4.0, offset=0.0, half_words=3.0),
    }
)
"""Rough weights of the scorers of this package, for where nothing was fitted."""

UNFITTED_VOICE: Mapping[str, VoiceWeights] = MappingProxyType(
    {"resemblyzer": VoiceWeights(weight=20.0, offset=0.7), "ecapa": VoiceWeights(weight=20.0, offset=0.35)}
)
"""Rough weights of the voice encoders of this package, for where nothing was fitted."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which talker was chosen, and how sure that is.

    Attributes:
        index: The likeliest candidate, whatever its probability.
        probabilities: (S,) float64, that each candidate is the wanted voice; with `p_none` they sum to 1.
        p_none: That no candidate is.
        abstained: True if the probability of `index` is too low to rely on it.
        target_present: False if it is likelier that no candidate is the wanted voice.
        audible: (S,) bool, False for candidates that hold no voice at all.
        transcripts: What was heard of each candidate; None for those that were not transcribed.
        words: (S,) How many of these words are probably right; None where nothing was transcribed.
        text_scores: (S,) from the scorer, None without history.
        voice_scores: (S,) cosines with the enrollment, None without one.
        turn_attribution: For each turn of the history, how much of the choice's log-odds it brought.
        warnings: What the user should know, one sentence each.
    """

    index: int
    probabilities: np.ndarray
    p_none: float
    abstained: bool
    target_present: bool
    audible: np.ndarray
    transcripts: tuple[str | None, ...] = ()
    words: np.ndarray | None = None
    text_scores: np.ndarray | None = None
    voice_scores: np.ndarray | None = None
    turn_attribution: list[float] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def log_odds(self) -> float:
        """Of the chosen candidate against all else."""
        probability = min(max(float(self.probabilities[self.index]), 1e-12), 1 - 1e-12)
        return math.log(probability / (1 - probability))


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Weighs the evidence of text and voice: softmax over the log-odds of S candidates and of "none of them".

    The log-odds of the cues add up, as for independent evidence. Before any evidence the audible candidates
    share 1 − `absent_prior` evenly.

    Attributes:
        text: Weights by the name of the scorer.
        voice: Weights by the name of the voice encoder.
        absent_prior: How often nobody in a recording continues its history, between 0 and 1.
        abstain_below: A choice of lower probability is not to be relied on.
    """

    text: Mapping[str, TextWeights] = field(default_factory=lambda: dict(UNFITTED_TEXT))
    voice: Mapping[str, VoiceWeights] = field(default_factory=lambda: dict(UNFITTED_VOICE))
    absent_prior: float = 0.1
    abstain_below: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.absent_prior < 1 or not 0 <= self.abstain_below <= 1:
            raise ConfigError(
                f"calibration: got absent_prior={self.absent_prior}, abstain_below={self.abstain_below}, "
                "expected probabilities, the first neither 0 nor 1"
            )

    def choose(
        self,
        audible: Sequence[bool] | np.ndarray,
        *,
        scorer: str | None = None,
        text_scores: np.ndarray | None = None,
        words: np.ndarray | None = None,
        voice_encoder: str | None = None,
        voice_scores: np.ndarray | None = None,
    ) -> Choice:
        """Choose among the talkers by whatever evidence there is.

        Args:
            audible: (S,) False for candidates that hold no voice at all; they get probability 0.
            scorer: Name of the scorer that `text_scores` come from.
            text_scores: (S,) how well each candidate's words continue the history.
            words: (S,) how many words of each were probably recognised right.
            voice_encoder: Name of the encoder that `voice_scores` come from.
            voice_scores: (S,) cosine of each candidate's speaker embedding with that of the enrollment.

        Raises:
            ConfigError: there are no weights for this scorer or voice encoder.

        Example:
            >>> words, scores = np.array([8.0, 6.0]), np.array([0.6, 0.1])
            >>> choice = Calibration().choose([True, True], scorer="minilm", text_scores=scores, words=words)
            >>> choice.index, choice.target_present, choice.abstained
            (0, True, False)
        """
        logits = np.where(audible, 0.0, -np.inf)
        if text_scores is not None:
            assert scorer is not None and words is not None
            logits = logits + _weights(self.text, scorer, "scorer").log_odds(text_scores, words)
        if voice_scores is not None:
            assert voice_encoder is not None
            logits = logits + _weights(self.voice, voice_encoder, "voice encoder").log_odds(voice_scores)
        probabilities, p_none = softmax_with_none(logits, self.absent_prior)
        index = int(np.argmax(probabilities))
        return Choice(
            index=index,
            probabilities=probabilities,
            p_none=p_none,
            abstained=bool(probabilities[index] < self.abstain_below),
            target_present=p_none < 0.5,
            audible=np.asarray(audible, bool),
            words=words,
            text_scores=text_scores,
            voice_scores=voice_scores,
        )

    def same_voice_above(self, voice_encoder: str) -> float:
        """The cosine above which a voice is rather the enrolled one than any other.

        Raises:
            ConfigError: there are no weights for this encoder.
        """
        return _weights(self.voice, voice_encoder, "voice encoder").offset

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` reads them back.

        Example:
            >>> Calibration.from_dict(Calibration().to_dict()) == Calibration()
            True
        """
        return {
            "absent_prior": self.absent_prior,
            "abstain_below": self.abstain_below,
            "text": {name: asdict(weights) for name, weights in self.text.items()},
            "voice": {name: asdict(weights) for name, weights in self.voice.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` wrote; scorers and encoders that are not in it keep their rough weights.

        Raises:
            CheckpointError: the values are of another form.
        """
        try:
            values = dict(values)
            text = {
                name: TextWeights(**_numbers(entry)) for name, entry in dict(values.pop("text", {})).items()
            }
            voice = {
                name: VoiceWeights(**_numbers(entry)) for name, entry in dict(values.pop("voice", {})).items()
            }
            return cls(text={**UNFITTED_TEXT, **text}, voice={**UNFITTED_VOICE, **voice}, **_numbers(values))
        except (TypeError, ValueError, AttributeError, ConfigError) as error:
            raise CheckpointError(
                f"calibration: {error}; expected absent_prior, abstain_below, and weights under text and "
                "voice, as Calibration.to_dict writes them"
            ) from error


def softmax_with_none(log_odds: np.ndarray, absent_prior: float) -> tuple[np.ndarray, float]:
    """Probabilities (S,) of the candidates, and that of "none of them", from log-odds (S,) against the prior.

    A candidate that is out of the question has log-odds of minus infinity.

    Example:
        >>> probabilities, p_none = softmax_with_none(np.zeros(2), absent_prior=0.2)
        >>> probabilities.round(3).tolist(), round(p_none, 3)
        ([0.4, 0.4], 0.2)
    """
    talkers = max(1, int(np.isfinite(log_odds).sum()))
    logits = np.append(log_odds + math.log((1 - absent_prior) / talkers), math.log(absent_prior))
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return shares[:-1], float(shares[-1])


def _weights(weights: Mapping[str, W], name: str, kind: str) -> W:
    if name not in weights:
        known = ", ".join(sorted(weights)) or "none"
        raise ConfigError(
            f"calibration: got the {kind} {name!r}, expected one that there are weights for ({known}); "
            "fit them with cse.selection.fitting.fit, or pass a Calibration that has some"
        )
    return weights[name]


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"got {name}={value!r}, expected a number")
    return {name: float(value) for name, value in values.items()}
