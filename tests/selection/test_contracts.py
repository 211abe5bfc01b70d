"""What every transcriber and every scorer promises, whatever is inside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cse import Turn
from cse.checkpoint import packaged_models
from cse.errors import MissingExtraError
from cse.selection.calibration import Calibration
from cse.selection.scorer import Scorer
from cse.selection.transcriber import Transcriber, Transcript, transcribe_all
from cse.testing.corpus import speech_like

RATE = 16000


def built(build: Callable[[], Any]) -> Any:
    """What is built, or a visible skip where its package is not installed."""
    try:
        return build()
    except MissingExtraError as error:
        pytest.skip(str(error))


def together(work: Callable[[], Any], threads: int = 2) -> list[Any]:
    """What several threads get that do the same at once."""
    found: list[Any] = []
    workers = [threading.Thread(target=lambda: found.append(work())) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == threads, "a thread failed"
    return found


# ---- transcribers


@pytest.fixture(scope="module", params=["pocketsphinx", "moonshine", "whisper"])
def transcriber(request: pytest.FixtureRequest, tiny_whisper: Path) -> Transcriber:
    if request.param == "pocketsphinx":
        from cse.selection.sphinx import PocketSphinxTranscriber

        return built(PocketSphinxTranscriber)
    if request.param == "moonshine":
        moonshine = pytest.importorskip("cse.selection.moonshine", exc_type=ModuleNotFoundError)
        return built(moonshine.MoonshineTranscriber)
    from cse.selection.whisper import WhisperTranscriber

    return WhisperTranscriber(tiny_whisper, language="en", batch_size=2)


@pytest.fixture(scope="module")
def voices() -> list[np.ndarray]:
    """Three that sound like speech, about 1 s, the second one silent."""
    loud = [speech_like(seconds, talker=talker, sample_rate=RATE) for talker, seconds in ((0, 1.0), (1, 0.6))]
    return [loud[0], np.zeros(RATE, np.float32), loud[1]]


@pytest.fixture(scope="module")
def alone(transcriber: Transcriber, voices: list[np.ndarray]) -> list[Transcript]:
    """What is heard of each voice when it is the only one."""
    return [transcriber.transcribe(voice, RATE) for voice in voices]


def assert_same(found: list[Transcript], expected: list[Transcript]) -> None:
    assert [one.text for one in found] == [one.text for one in expected]
    for one, other in zip(found, expected, strict=True):
        for word, same in zip(one.words, other.words, strict=True):
            assert word.confidence == pytest.approx(same.confidence, abs=1e-3)
            assert (word.start_s, word.end_s) == pytest.approx((same.start_s, same.end_s), abs=1e-6)


def check_words(transcript: Transcript, duration_s: float) -> None:
    for word in transcript.words:
        assert word.text and word.text == word.text.strip()
        assert 0 <= word.confidence <= 1
        assert 0 <= word.start_s <= word.end_s <= duration_s + 0.02
    starts_s = [word.start_s for word in transcript.words]
    assert starts_s == sorted(starts_s)
    assert not any(mark in transcript.text for mark in ("<|", "<s>", "[", "++"))
    assert 0 <= transcript.expected_words <= len(transcript.words)


def test_words_have_confidences_and_times(alone: list[Transcript], voices: list[np.ndarray]) -> None:
    for transcript, voice in zip(alone, voices, strict=True):
        check_words(transcript, len(voice) / RATE)


@pytest.mark.parametrize("samples", [0, 1, 300, RATE])
def test_silence_has_no_words(transcriber: Transcriber, samples: int) -> None:
    assert transcriber.transcribe(np.zeros(samples, np.float32), RATE) == Transcript()
    assert transcriber.transcribe(np.full(samples, 5e-5, np.float32), RATE) == Transcript()


@pytest.mark.parametrize("samples", [1, 20, 300, 1600])
def test_clicks_do_no_harm(transcriber: Transcriber, samples: int) -> None:
    check_words(transcriber.transcribe(np.ones(samples, np.float32), RATE), samples / RATE)


def test_several_voices_get_what_each_gets_alone(
    transcriber: Transcriber, voices: list[np.ndarray], alone: list[Transcript]
) -> None:
    assert_same(transcribe_all(transcriber, voices, RATE), alone)
    assert transcribe_all(transcriber, [], RATE) == []


def test_the_order_of_voices_does_not_matter(
    transcriber: Transcriber, voices: list[np.ndarray], alone: list[Transcript]
) -> None:
    assert_same(transcribe_all(transcriber, voices[::-1], RATE), alone[::-1])


def test_the_level_does_not_matter(
    transcriber: Transcriber, voices: list[np.ndarray], alone: list[Transcript]
) -> None:
    # a power of two: no rounding
    assert_same([transcriber.transcribe(voices[0] / 64, RATE)], alone[:1])


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_any_rate_is_fine(transcriber: Transcriber, rate: int) -> None:
    voice = speech_like(0.6, talker=2, sample_rate=rate)
    check_words(transcriber.transcribe(voice, rate), 0.6)


def test_the_voice_is_left_as_it_is(transcriber: Transcriber, voices: list[np.ndarray]) -> None:
    before = voices[0].copy()
    transcriber.transcribe(voices[0], RATE)
    np.testing.assert_array_equal(voices[0], before)


def test_threads_share_a_transcriber(
    transcriber: Transcriber, voices: list[np.ndarray], alone: list[Transcript]
) -> None:
    for found in together(lambda: transcribe_all(transcriber, voices, RATE)):
        assert_same(found, alone)


# ---- scorers

HISTORY = [
    Turn("Where shall we meet?", "Ana"),
    Turn("At the station, I think.", "Ben"),
    Turn("And when?", "Ana"),
]
TEXTS = ["at seven in the evening", "yes", "the dog ran into the forest and was never seen again"]


@pytest.fixture(scope="module", params=["minilm", "next-turn", "causal-lm"])
def scorer(request: pytest.FixtureRequest, tiny_llama: Path) -> Scorer:
    if request.param == "minilm":
        from cse.selection.minilm import MiniLMScorer

        return built(MiniLMScorer)
    if request.param == "next-turn":
        next_turn = pytest.importorskip("cse.selection.next_turn", exc_type=ModuleNotFoundError)
        if next_turn.DEFAULT_SCORER not in packaged_models():
            pytest.skip(f"no model {next_turn.DEFAULT_SCORER} comes with the package yet")
        return built(next_turn.NextTurnScorer)
    from cse.selection.causal_lm import CausalLMScorer

    return CausalLMScorer(tiny_llama)


def test_scores_are_one_finite_number_a_text(scorer: Scorer) -> None:
    scores = scorer.score(HISTORY, TEXTS)
    assert scores.dtype == np.float64 and scores.shape == (3,)
    assert np.isfinite(scores).all()
    assert len(set(scores.round(6))) == 3, "the texts differ, so do their scores"
    assert scorer.score(HISTORY, []).shape == (0,)


def test_a_score_depends_on_its_text_and_not_on_its_place(scorer: Scorer) -> None:
    expected = scorer.score(HISTORY, TEXTS)
    for order in ([2, 1, 0], [1, 2, 0]):
        np.testing.assert_allclose(
            scorer.score(HISTORY, [TEXTS[number] for number in order]), expected[order], atol=1e-5
        )


def test_several_texts_get_what_each_gets_alone(scorer: Scorer) -> None:
    alone = np.concatenate([scorer.score(HISTORY, [text]) for text in TEXTS])
    np.testing.assert_allclose(scorer.score(HISTORY, TEXTS), alone, atol=1e-5)
    doubled = scorer.score(HISTORY, [TEXTS[0], TEXTS[0]])
    assert doubled[0] == pytest.approx(doubled[1], abs=1e-6)


@pytest.mark.parametrize("nothing", ["", " ", "\n\t "])
def test_nothing_said_is_neutral_and_changes_no_other_score(scorer: Scorer, nothing: str) -> None:
    scores = scorer.score(HISTORY, [nothing, *TEXTS, nothing])
    assert scores[0] == scores[-1] == 0
    np.testing.assert_allclose(scores[1:-1], scorer.score(HISTORY, TEXTS), atol=1e-5)
    assert scorer.score(HISTORY, [nothing]).tolist() == [0]


def test_without_history_all_texts_are_equal(scorer: Scorer) -> None:
    """Fluent talk must not win where nothing speaks for it."""
    assert scorer.score([], TEXTS).tolist() == [0, 0, 0]


def test_the_history_matters(scorer: Scorer) -> None:
    other = [Turn("My budget is a mess.", "Ana"), Turn("How much money can you spend?", "Ben")]
    assert np.abs(scorer.score(other, TEXTS) - scorer.score(HISTORY, TEXTS)).max() > 1e-3


def test_turns_further_back_than_max_turns_change_nothing(scorer: Scorer) -> None:
    recent = [Turn(f"we meet at {number}", "AB"[number % 2]) for number in range(scorer.max_turns)]
    expected = scorer.score(recent, TEXTS, next_speaker="A")
    scores = scorer.score([Turn("Dogs love to run.", "B"), *recent], TEXTS, next_speaker="A")
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("next_speaker", [None, "Ben", "Ana", "somebody new"])
def test_anybody_may_speak_next(scorer: Scorer, next_speaker: str | None) -> None:
    for history in (HISTORY, [Turn(turn.text) for turn in HISTORY], [HISTORY[0], HISTORY[0]]):
        assert np.isfinite(scorer.score(history, TEXTS, next_speaker=next_speaker)).all()


@pytest.mark.parametrize(
    "text", ["yes " * 2000, "🌸🌸", "¿dónde?", "12:30", "...", "a" * 3000], ids=lambda text: text[:8]
)
def test_any_text_has_a_score_and_fits_into_a_history(scorer: Scorer, text: str) -> None:
    assert np.isfinite(scorer.score(HISTORY, [text, "yes"])).all()
    assert np.isfinite(scorer.score([*HISTORY, Turn(text, "Ben")], TEXTS)).all()


def test_threads_share_a_scorer(scorer: Scorer) -> None:
    expected = scorer.score(HISTORY, TEXTS)
    for scores in together(lambda: scorer.score(HISTORY, TEXTS)):
        np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_what_a_short_answer_says_weighs_little(scorer: Scorer) -> None:
    """A calibration has weights for every scorer; one word of which we are half sure moves little."""
    weights = Calibration().text[scorer.name]
    long, short = weights.log_odds(np.array([1.0, 1.0]) + weights.offset, np.array([20.0, 0.5]))
    assert 0 < short < long / 3
