from __future__ import annotations

import numpy as np
import pytest

from cse.errors import ConfigError
from cse.evaluation.statistics import expected_calibration_error
from cse.selection.calibration import Calibration, TextWeights, VoiceWeights, softmax_with_none
from cse.selection.fitting import Example, fit

TRUE_TEXT = TextWeights(weight=12.0, offset=0.3, half_words=4.0)
TRUE_VOICE = VoiceWeights(weight=18.0, offset=0.65)


def draw(rng: np.random.Generator, count: int, absent: float, talkers: int = 2) -> list[Example]:
    """Scores first, then the right answer, drawn with the probabilities that the true weights give."""
    examples = []
    for _ in range(count):
        scores, words = rng.uniform(-0.1, 0.8, talkers), rng.uniform(0, 12, talkers)
        voices = rng.uniform(0.45, 0.9, talkers)
        odds = TRUE_TEXT.log_odds(scores, words) + TRUE_VOICE.log_odds(voices)
        probabilities, p_none = softmax_with_none(odds, absent)
        answer = int(rng.choice(talkers + 1, p=[*probabilities, p_none]))
        right = None if answer == talkers else answer
        examples.append(Example(right=right, text_scores=scores, words=words, voice_scores=voices))
    return examples


def test_the_weights_behind_the_answers_are_found(rng: np.random.Generator) -> None:
    examples = draw(rng, 3000, absent=0.3)
    calibration = fit(examples, scorer="minilm", voice_encoder="resemblyzer")
    text, voice = calibration.text["minilm"], calibration.voice["resemblyzer"]
    assert text.weight == pytest.approx(TRUE_TEXT.weight, rel=0.2)
    assert voice.weight == pytest.approx(TRUE_VOICE.weight, rel=0.1)
    assert text.half_words == pytest.approx(TRUE_TEXT.half_words, rel=0.5)
    # the prior of the examples and the two offsets say the same: only their sum can be found
    share = np.mean([example.right is None for example in examples])
    shift = np.log(0.3 / 0.7) - np.log(share / (1 - share))
    middle = (
        TRUE_TEXT.log_odds(np.array([0.3]), np.array([6.0])) + TRUE_VOICE.log_odds(np.array([0.65])) - shift
    )
    found = text.log_odds(np.array([0.3]), np.array([6.0])) + voice.log_odds(np.array([0.65]))
    assert found[0] == pytest.approx(middle[0], abs=0.35)


def test_a_fitted_calibration_is_honest(rng: np.random.Generator) -> None:
    examples = [*draw(rng, 1500, absent=0.3), *draw(rng, 500, absent=0.3, talkers=3)]
    calibration = fit(examples[::2], scorer="minilm", voice_encoder="resemblyzer")
    share = np.mean([example.right is None for example in examples])
    calibration = Calibration(text=calibration.text, voice=calibration.voice, absent_prior=float(share))

    def error(calibration: Calibration) -> float:
        stated, right = [], []
        for example in examples[1::2]:
            choice = calibration.choose(
                [True] * len(example.words),
                scorer="minilm",
                text_scores=example.text_scores,
                words=example.words,
                voice_encoder="resemblyzer",
                voice_scores=example.voice_scores,
            )
            stated.append(float(choice.probabilities[choice.index]))
            right.append(choice.index == example.right)
        return expected_calibration_error(stated, right)

    assert error(calibration) < 0.05
    overconfident = TextWeights(weight=80.0, offset=0.3, half_words=4.0)
    assert error(Calibration(text={"minilm": overconfident}, voice=calibration.voice)) > 0.1


def test_other_weights_and_the_policy_stay(rng: np.random.Generator) -> None:
    base = Calibration(absent_prior=0.05, abstain_below=0.7)
    fitted = fit(draw(rng, 60, absent=0.3), scorer="minilm", base=base)
    assert (fitted.absent_prior, fitted.abstain_below) == (0.05, 0.7)
    assert fitted.voice == base.voice
    assert fitted.text["causal-lm"] == base.text["causal-lm"]
    assert fitted.text["minilm"] != base.text["minilm"]


def test_voice_alone_can_be_fitted(rng: np.random.Generator) -> None:
    examples = []
    for _ in range(500):
        same, other = rng.normal(0.8, 0.05), rng.normal(0.55, 0.07, 3)
        examples.append(Example(right=0, voice_scores=np.array([same, other[0]])))
        examples.append(Example(right=None, voice_scores=other[1:]))
    weights = fit(examples, voice_encoder="resemblyzer").voice["resemblyzer"]
    assert 0.6 < weights.offset < 0.75
    assert weights.weight > 20


def test_few_examples_move_the_weights_little() -> None:
    examples = [
        Example(right=0, text_scores=np.array([0.9, 0.0]), words=np.array([5.0, 5.0])),
        Example(right=None, text_scores=np.array([0.1, 0.0]), words=np.array([5.0, 5.0])),
    ]
    weights = fit(examples, scorer="minilm").text["minilm"]
    start = Calibration().text["minilm"]
    assert start.weight / 4 < weights.weight < start.weight * 4
    assert abs(weights.offset - start.offset) < 0.3


@pytest.mark.parametrize("rights", [[], [0, 1], [None, None]])
def test_examples_with_and_without_a_target_are_needed(rights: list[int | None]) -> None:
    examples = [Example(right=right, voice_scores=np.array([0.8, 0.4])) for right in rights]
    with pytest.raises(ConfigError, match="expected some with and some without"):
        fit(examples, voice_encoder="resemblyzer")


def test_a_name_without_weights_to_start_from_is_refused() -> None:
    examples = [Example(right=right, voice_scores=np.array([0.8, 0.4])) for right in (0, None)]
    with pytest.raises(ConfigError, match="no weights for 'mine' to start from"):
        fit(examples, voice_encoder="mine")
