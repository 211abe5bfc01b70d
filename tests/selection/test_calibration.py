from __future__ import annotations

import json
import math

import numpy as np
import pytest

from cse.errors import CheckpointError, ConfigError
from cse.selection.calibration import Calibration, TextWeights, VoiceWeights, softmax_with_none

CALIBRATION = Calibration(
    text={"minilm": TextWeights(weight=10.0, offset=0.2, half_words=3.0)},
    voice={"resemblyzer": VoiceWeights(weight=20.0, offset=0.7)},
    absent_prior=0.2,
    abstain_below=0.5,
)


def by_text(scores: list[float], words: list[float], calibration: Calibration = CALIBRATION):
    return calibration.choose(
        [True] * len(scores), scorer="minilm", text_scores=np.array(scores), words=np.array(words)
    )


def test_probabilities_follow_the_formula() -> None:
    choice = by_text([0.5, 0.1], [6.0, 3.0])
    logits = [10 * 6 / 9 * 0.3 + math.log(0.4), 10 * 3 / 6 * -0.1 + math.log(0.4), math.log(0.2)]
    shares = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose([*choice.probabilities, choice.p_none], shares, rtol=1e-12)
    assert choice.index == 0 and not choice.abstained and choice.target_present


@pytest.mark.parametrize("talkers", [1, 2, 3])
def test_without_evidence_the_prior_is_all_there_is(talkers: int) -> None:
    choice = CALIBRATION.choose([True] * talkers)
    np.testing.assert_allclose(choice.probabilities, 0.8 / talkers)
    assert choice.p_none == pytest.approx(0.2)
    assert choice.abstained == (talkers > 1)


def test_few_words_say_little() -> None:
    many, few, none = (by_text([0.6, 0.2], [words, words]).probabilities[0] for words in (20.0, 1.0, 0.0))
    assert many > few > none == pytest.approx(0.4)


def test_a_wrong_answer_to_everything_is_no_answer() -> None:
    choice = by_text([-0.2, -0.3], [10.0, 10.0])
    assert choice.p_none > 0.5
    assert choice.abstained and not choice.target_present
    assert choice.index == 0, "the likeliest candidate is still named"


def test_text_and_voice_add_up() -> None:
    scores, words, voices = np.array([0.5, 0.1]), np.array([6.0, 6.0]), np.array([0.6, 0.9])
    both = CALIBRATION.choose(
        [True, True],
        scorer="minilm",
        text_scores=scores,
        words=words,
        voice_encoder="resemblyzer",
        voice_scores=voices,
    )
    text = CALIBRATION.choose([True, True], scorer="minilm", text_scores=scores, words=words)
    voice = CALIBRATION.choose([True, True], voice_encoder="resemblyzer", voice_scores=voices)
    odds = [
        np.log(choice.probabilities / choice.p_none) - math.log(0.4 / 0.2) for choice in (text, voice, both)
    ]
    np.testing.assert_allclose(odds[0] + odds[1], odds[2], atol=1e-12)
    assert text.index == 0 and voice.index == 1 and both.index == 1


def test_a_candidate_without_a_voice_cannot_be_chosen() -> None:
    choice = CALIBRATION.choose(
        [True, False], scorer="minilm", text_scores=np.array([-0.3, 0.9]), words=np.array([9.0, 9.0])
    )
    assert choice.index == 0
    assert choice.probabilities[1] == 0
    assert choice.probabilities.sum() + choice.p_none == pytest.approx(1)


def test_large_log_odds_do_not_overflow() -> None:
    probabilities, p_none = softmax_with_none(np.array([2000.0, -2000.0]), 0.1)
    assert probabilities.tolist() == [1.0, 0.0] and p_none == 0.0
    assert math.isfinite(by_text([300.0, 0.0], [9.0, 9.0]).log_odds)


def test_json_keeps_everything() -> None:
    calibration = Calibration.from_dict(json.loads(json.dumps(CALIBRATION.to_dict())))
    assert calibration.to_dict()["text"]["minilm"] == CALIBRATION.to_dict()["text"]["minilm"]
    assert calibration.absent_prior == 0.2
    assert "causal-lm" in calibration.text, "scorers without fitted weights keep rough ones"


@pytest.mark.parametrize(
    "values",
    [
        {"text": {"minilm": {"weight": 1.0}}},
        {"text": {"minilm": {"weight": "1", "offset": 0, "half_words": 1}}},
        {"text": {"minilm": {"weight": -1, "offset": 0, "half_words": 1}}},
        {"text": {"minilm": {"weight": 1, "offset": math.nan, "half_words": 1}}},
        {"text": ["minilm"]},
        {"voice": {"ecapa": 3}},
        {"absent_prior": 0},
        {"absent_prior": True},
        {"abstain_below": 1.5},
        {"abstain_bellow": 0.5},
        [1],
    ],
)
def test_other_forms_are_refused(values: object) -> None:
    with pytest.raises(CheckpointError, match=r"^calibration: .*as Calibration.to_dict writes them$"):
        Calibration.from_dict(values)  # type: ignore[arg-type]


def test_nothing_given_is_the_rough_calibration() -> None:
    assert Calibration.from_dict({}) == Calibration()


def test_a_scorer_without_weights_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"got the scorer 'mine', expected one that there are weights for \(minilm\)"
    ):
        CALIBRATION.choose([True], scorer="mine", text_scores=np.zeros(1), words=np.ones(1))


@pytest.mark.parametrize("prior", [0.0, 1.0, -1.0, math.nan])
def test_priors_are_probabilities(prior: float) -> None:
    with pytest.raises(ConfigError, match="expected probabilities"):
        Calibration(absent_prior=prior)
