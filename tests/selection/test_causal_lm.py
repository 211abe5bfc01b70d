from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cse import Turn
from cse.errors import CheckpointError
from cse.selection.causal_lm import CausalLMScorer

HISTORY = [Turn("where shall we meet", "Ana"), Turn("at the station", "Ben")]


@pytest.fixture(scope="module")
def scorer(tiny_llama: Path) -> CausalLMScorer:
    return CausalLMScorer(tiny_llama)


def mean_log_p(folder: Path, context: str, text: str) -> float:
    """By hand: one token after the other, one sequence at a time, no padding."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = [tokenizer.bos_token_id, *tokenizer(context, add_special_tokens=False)["input_ids"]]
    total, own = 0.0, tokenizer(text, add_special_tokens=False)["input_ids"]
    for token in own:
        with torch.no_grad():
            total += float(
                model(input_ids=torch.tensor([tokens])).logits[0, -1].double().log_softmax(-1)[token]
            )
        tokens.append(token)
    return total / len(own)


def test_the_score_is_the_gain_per_token_that_the_history_brings(
    scorer: CausalLMScorer, tiny_llama: Path
) -> None:
    context = "Ana: where shall we meet\nBen: at the station\nAna:"
    texts = ["we meet", "the station where we shall"]
    expected = [
        mean_log_p(tiny_llama, context, f" {text}") - mean_log_p(tiny_llama, "Ana:", f" {text}")
        for text in texts
    ]
    scores = scorer.score(HISTORY, texts)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert abs(scores[0] - scores[1]) > 1e-3


def test_the_name_of_the_next_speaker_changes_the_context(scorer: CausalLMScorer, tiny_llama: Path) -> None:
    context = "Ana: where shall we meet\nBen: at the station\nBen:"
    expected = mean_log_p(tiny_llama, context, " we meet") - mean_log_p(tiny_llama, "Ben:", " we meet")
    np.testing.assert_allclose(scorer.score(HISTORY, ["we meet"], next_speaker="Ben"), [expected], atol=1e-5)


def test_turns_without_names_are_lines(scorer: CausalLMScorer, tiny_llama: Path) -> None:
    expected = mean_log_p(tiny_llama, "where\nat the station\n", " we") - mean_log_p(tiny_llama, "", " we")
    scores = scorer.score([Turn("where"), Turn("at the station")], ["we"])
    np.testing.assert_allclose(scores, [expected], atol=1e-5)


def test_a_score_does_not_depend_on_the_other_candidates(scorer: CausalLMScorer) -> None:
    alone = scorer.score(HISTORY, ["we"])[0]
    texts = ["the station where we shall meet", "we", "where"]
    # products of other sizes take other kernels, which round differently on some processors
    rounding = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(scorer.score(HISTORY, texts)[1], alone, **rounding)
    np.testing.assert_allclose(
        scorer.score(HISTORY, texts[::-1]), scorer.score(HISTORY, texts)[::-1], **rounding
    )


def test_nothing_said_and_no_history_are_neutral(scorer: CausalLMScorer) -> None:
    scores = scorer.score(HISTORY, ["", "we", "  "])
    assert scores[0] == scores[2] == 0.0 != scores[1]
    assert scorer.score([], ["we", "where"]).tolist() == [0.0, 0.0]
    assert scorer.score(HISTORY, ["", ""]).tolist() == [0.0, 0.0]


def test_the_oldest_turns_are_left_out_where_the_context_is_full(scorer: CausalLMScorer) -> None:
    long = [Turn(f"{number} where shall we meet", "Ana" if number % 2 else "Ben") for number in range(40)]
    scores = scorer.score(long, ["we meet"])
    assert np.isfinite(scores).all()
    assert scorer.score(long[-5:], ["we meet"])[0] != scores[0], "more than five turns fit"
    changed = [Turn("station station", "Ana"), *long[1:]]
    assert scorer.score(changed, ["we meet"])[0] == scores[0], "the first turn cannot fit"


def test_one_turn_longer_than_the_context_is_cut_at_its_beginning(scorer: CausalLMScorer) -> None:
    words = [f"w{number}" for number in range(200)]
    scores = scorer.score([Turn(" ".join(words), "Ana")], ["we meet"])
    other_start = scorer.score([Turn(" ".join(["zz", *words[1:]]), "Ana")], ["we meet"])
    other_end = scorer.score([Turn(" ".join([*words[:-1], "zz"]), "Ana")], ["we meet"])
    assert scores[0] == other_start[0]
    assert scores[0] != other_end[0]


def test_a_text_longer_than_the_context_is_scored_by_its_beginning(scorer: CausalLMScorer) -> None:
    words = [f"w{number}" for number in range(200)]
    scores = scorer.score(HISTORY, [" ".join(words), " ".join([*words[:-1], "zz"])])
    assert np.isfinite(scores).all()
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_max_turns_limits_the_context(tiny_llama: Path, scorer: CausalLMScorer) -> None:
    last_only = CausalLMScorer(tiny_llama, max_turns=1)
    expected = scorer.score(HISTORY[1:], ["we meet"], next_speaker="Ana")
    np.testing.assert_allclose(last_only.score(HISTORY, ["we meet"], next_speaker="Ana"), expected, atol=1e-6)


def test_pickled_weights_are_not_loaded(tiny_llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "llama"
    shutil.copytree(tiny_llama, folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot load"):
        CausalLMScorer(folder)


def test_a_name_without_hf_is_never_downloaded() -> None:
    with pytest.raises(CheckpointError, match="no such folder.* write hf://meta-llama/Llama-3.2-1B"):
        CausalLMScorer("meta-llama/Llama-3.2-1B")


def test_a_download_that_fails_says_so() -> None:
    with pytest.raises(CheckpointError, match="cannot be downloaded"):
        CausalLMScorer("hf://nobody/no-such-model")
