"""Fit a calibration to choices whose right answer is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cse.errors import ConfigError
from cse.selection.calibration import Calibration, TextWeights, VoiceWeights

# What the weights are drawn to where the data say little: standard deviations of their logarithms, and of the
# offset.
_LOG_SPREAD, _OFFSET_SPREAD = 2.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Example:
    """One choice among S talkers, with its right answer.

    Attributes:
        right: Index of the wanted talker, None if it is none of them.
        text_scores: (S,) from a scorer; None without history.
        words: (S,) how many words of each were probably recognised right; comes with `text_scores`.
        voice_scores: (S,) cosines with the enrollment; None without one.
    """

    right: int | None
    text_scores: np.ndarray | None = None
    words: np.ndarray | None = None
    voice_scores: np.ndarray | None = None

    @property
    def talkers(self) -> int:
        """How many there are to choose among, S."""
        scores = self.text_scores if self.text_scores is not None else self.voice_scores
        return 0 if scores is None else len(scores)


def fit(
    examples: Sequence[Example],
    *,
    scorer: str | None = None,
    voice_encoder: str | None = None,
    base: Calibration | None = None,
) -> Calibration:
    """Find the weights that make the right answers likeliest: softmax regression over talkers and "none".

    The share of examples without a right talker only serves to fit: the prior of `base` stays.

    Args:
        examples: Choices; some of them must be without a right talker.
        scorer: Name of the scorer that all text scores come from; None fits no text weights.
        voice_encoder: Name of the encoder that all voice scores come from; None fits no voice weights.
        base: What to start from; its weights are kept for all other names.

    Raises:
        ConfigError: no example, all or none of them without a right talker, or no weights to start from.
    """
    from scipy.optimize import minimize

    base = base if base is not None else Calibration()
    absent = np.mean([example.right is None for example in examples]) if examples else 0.0
    if not 0 < absent < 1:
        raise ConfigError(
            f"calibration: got {len(examples)} examples, {absent:.0%} of them without a right talker; "
            "expected some with and some without"
        )
    start = _pack(base, scorer, voice_encoder)
    spread = _spread(len(start), scorer is not None)
    stacks = _stack(examples, scorer is not None, voice_encoder is not None)

    def loss(parameters: np.ndarray) -> float:
        calibration = _unpack(parameters, base, scorer, voice_encoder)
        text = None if scorer is None else calibration.text[scorer]
        voice = None if voice_encoder is None else calibration.voice[voice_encoder]
        pull = 0.5 * float(np.sum(np.square((parameters - start) / spread)))
        return pull + sum(stack.negative_log_likelihood(text, voice, float(absent)) for stack in stacks)

    found = minimize(loss, start, method="L-BFGS-B")
    return _unpack(found.x, base, scorer, voice_encoder)


@dataclass(frozen=True)
class _Stack:
    """N examples of one form: the same number of talkers S and the same cues; `right` (N,) is S for none of them."""

    right: np.ndarray
    text_scores: np.ndarray | None
    words: np.ndarray | None
    voice_scores: np.ndarray | None
    talkers: int

    def negative_log_likelihood(
        self, text: TextWeights | None, voice: VoiceWeights | None, absent: float
    ) -> float:
        log_odds = np.zeros((len(self.right), self.talkers))
        if text is not None and self.text_scores is not None and self.words is not None:
            log_odds += text.log_odds(self.text_scores, self.words)
        if voice is not None and self.voice_scores is not None:
            log_odds += voice.log_odds(self.voice_scores)
        prior = np.log([(1 - absent) / self.talkers] * self.talkers + [absent])
        logits = np.pad(log_odds, ((0, 0), (0, 1))) + prior
        highest = logits.max(axis=1, keepdims=True)
        log_total = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
        return float((log_total - logits[np.arange(len(logits)), self.right]).sum())


def _stack(examples: Sequence[Example], with_text: bool, with_voice: bool) -> list[_Stack]:
    """Examples that have one of the cues, those of one form together."""
    forms: dict[tuple[int, bool, bool], list[Example]] = {}
    for example in examples:
        text = with_text and example.text_scores is not None and example.words is not None
        voice = with_voice and example.voice_scores is not None
        scores = example.text_scores if text else example.voice_scores
        if scores is not None and (text or voice):
            forms.setdefault((len(scores), text, voice), []).append(example)
    return [
        _Stack(
            right=np.array([talkers if one.right is None else one.right for one in group]),
            text_scores=_rows(one.text_scores for one in group) if text else None,
            words=_rows(one.words for one in group) if text else None,
            voice_scores=_rows(one.voice_scores for one in group) if voice else None,
            talkers=talkers,
        )
        for (talkers, text, voice), group in forms.items()
    ]


def _rows(values: Iterable[np.ndarray | None]) -> np.ndarray:
    return np.stack([value for value in values if value is not None])


def _pack(calibration: Calibration, scorer: str | None, voice_encoder: str | None) -> np.ndarray:
    """The fitted weights as a vector; what must stay above 0 as its logarithm."""
    parameters: list[float] = []
    try:
        if scorer is not None:
            text = calibration.text[scorer]
            parameters += [np.log(text.weight), text.offset, np.log(text.half_words)]
        if voice_encoder is not None:
            voice = calibration.voice[voice_encoder]
            parameters += [np.log(voice.weight), voice.offset]
    except KeyError as error:
        raise ConfigError(
            f"calibration: no weights for {error} to start from; pass a base that has some"
        ) from error
    return np.array(parameters)


def _unpack(
    parameters: np.ndarray, base: Calibration, scorer: str | None, voice_encoder: str | None
) -> Calibration:
    values = [float(value) for value in parameters]
    text, voice = dict(base.text), dict(base.voice)
    if scorer is not None:
        weight, offset, half_words = values[:3]
        text[scorer] = TextWeights(
            weight=np.exp(weight).item(), offset=offset, half_words=np.exp(half_words).item()
        )
    if voice_encoder is not None:
        weight, offset = values[-2:]
        voice[voice_encoder] = VoiceWeights(weight=np.exp(weight).item(), offset=offset)
    return replace(base, text=text, voice=voice)


def _spread(parameters: int, with_text: bool) -> np.ndarray:
    text = [_LOG_SPREAD, _OFFSET_SPREAD, _LOG_SPREAD] if with_text else []
    return np.array([*text, _LOG_SPREAD, _OFFSET_SPREAD][:parameters])
