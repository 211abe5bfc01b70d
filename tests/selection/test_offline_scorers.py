"""Both offline scorers: the plain cosine, and the head that was trained on dialogues."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cse import Turn
from cse.checkpoint import save_checkpoint
from cse.errors import CheckpointError
from cse.selection.minilm import MiniLMScorer
from cse.selection.response import ResponseHead, ResponseScorer
from cse.selection.sentences import SentenceEncoder

HISTORY = [
    Turn("What are you working on?", "1"),
    Turn("I'm figuring out my budget.", "0"),
    Turn("How much money can you spend?", "1"),
]
ANSWER, ELSEWHERE = "i can only spend three hundred dollars a month", "the dog ran into the forest"


@pytest.fixture(params=[MiniLMScorer, ResponseScorer])
def scorer(
    request: pytest.FixtureRequest, sentence_encoder: SentenceEncoder
) -> MiniLMScorer | ResponseScorer:
    return request.param(encoder=sentence_encoder)


def test_the_text_that_continues_the_history_scores_higher(scorer: MiniLMScorer | ResponseScorer) -> None:
    scores = scorer.score(HISTORY, [ELSEWHERE, ANSWER])
    assert scores.dtype == np.float64 and scores.shape == (2,)
    assert scores[1] > scores[0] + 0.2
    assert (abs(scores) <= 1).all()


def test_a_score_does_not_depend_on_the_other_candidates(scorer: MiniLMScorer | ResponseScorer) -> None:
    alone = scorer.score(HISTORY, [ANSWER])[0]
    assert scorer.score(HISTORY, [ELSEWHERE * 5, ANSWER, "yes"])[1] == pytest.approx(alone, abs=1e-6)


def test_nothing_said_and_no_history_score_0(scorer: MiniLMScorer | ResponseScorer) -> None:
    scores = scorer.score(HISTORY, ["", ANSWER, " "])
    assert scores[0] == scores[2] == 0 != scores[1]
    assert scorer.score([], [ANSWER]).tolist() == [0]
    assert scorer.score(HISTORY, [""]).tolist() == [0]


def test_turns_further_back_than_the_scorer_looks_change_nothing(
    scorer: MiniLMScorer | ResponseScorer,
) -> None:
    recent = [Turn(f"We talk about thing number {number}.") for number in range(scorer.max_turns)]
    scores = scorer.score([Turn("Dogs run."), *recent], [ANSWER])
    assert scores.tolist() == scorer.score(recent, [ANSWER]).tolist()
    assert scores[0] != scorer.score([Turn("Dogs run."), *recent[1:]], [ANSWER])[0]


def test_a_recent_turn_counts_more(scorer: MiniLMScorer | ResponseScorer) -> None:
    dogs, money = Turn("Do dogs love to run in forests?"), Turn("How much money do you spend?")
    assert scorer.score([dogs, money], [ANSWER])[0] > scorer.score([money, dogs], [ANSWER])[0]


def test_the_next_message_of_a_chat_costs_one_encoding(
    scorer: MiniLMScorer | ResponseScorer, sentence_encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    encode = sentence_encoder._encode
    monkeypatch.setattr(sentence_encoder, "_encode", lambda texts: encoded.extend(texts) or encode(texts))
    scorer.score(HISTORY, [f"{scorer.name} hears this"])
    encoded.clear()
    scorer.score([*HISTORY, Turn(f"{scorer.name} hears this", "0")], [f"and then {scorer.name} hears that"])
    assert encoded == [f"and then {scorer.name} hears that"]


def test_an_answer_unlike_its_question_is_recognised_by_the_trained_head(
    sentence_encoder: SentenceEncoder,
) -> None:
    history = [Turn("I bought this coat here yesterday."), Turn("What is wrong with it?")]
    texts = ["one of the buttons is missing", "the coat of the king was made of gold"]
    by_meaning = MiniLMScorer(encoder=sentence_encoder).score(history, texts)
    by_training = ResponseScorer(encoder=sentence_encoder).score(history, texts)
    assert by_training[0] - by_training[1] > by_meaning[0] - by_meaning[1]
    assert by_training[0] > by_training[1]


def test_an_untrained_head_is_the_cosine_with_the_recent_turns() -> None:
    head = ResponseHead(size=384).eval()
    turns = torch.nn.functional.normalize(torch.randn(2, 8, 384), dim=-1)
    mask = torch.arange(8) < torch.tensor([[8], [3]])
    responses = torch.nn.functional.normalize(torch.randn(5, 384), dim=-1)
    weights = 0.7 ** torch.arange(8) * mask
    recent = torch.nn.functional.normalize((weights.unsqueeze(-1) * turns).sum(dim=1), dim=-1)
    torch.testing.assert_close(head(turns, mask, responses), recent @ responses.T)


def test_every_weight_of_the_head_is_trained() -> None:
    head = ResponseHead()
    mask = torch.arange(8) < torch.tensor([[8], [3]])
    head(torch.randn(2, 8, 384), mask, torch.randn(5, 384)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in head.parameters())


def test_a_head_is_saved_and_loaded(tmp_path: Path, sentence_encoder: SentenceEncoder) -> None:
    head = ResponseHead(size=16, max_turns=3)
    config = {"model": {"_target_": "cse.selection.response.ResponseHead", "size": 16, "max_turns": 3}}
    save_checkpoint(tmp_path / "head.safetensors", config, head.state_dict(), "A test.")
    scorer = ResponseScorer(head=tmp_path / "head.safetensors", encoder=sentence_encoder)
    assert scorer.max_turns == 3
    assert scorer.score(HISTORY, [ANSWER]).shape == (1,)


def test_another_model_is_no_head(tmp_path: Path, sentence_encoder: SentenceEncoder) -> None:
    config = {"model": {"_target_": "cse.history.Turn", "text": "Hi"}}
    save_checkpoint(tmp_path / "turn.safetensors", config, {}, "A test.")
    with pytest.raises(CheckpointError, match="got a Turn, expected a ResponseHead"):
        ResponseScorer(head=tmp_path / "turn.safetensors", encoder=sentence_encoder)
