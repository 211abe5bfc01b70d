"""Word errors: what counts as an error, and what does not."""

from __future__ import annotations

import sys

import pytest

from cse.errors import MissingExtraError
from cse.evaluation.words import WordErrors, count_word_errors, normalize_text


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Hello,   World!", "hello world"),
        ("It’s o'clock 'quoted'", "it's o'clock quoted"),
        ("well-known; e-mail_me", "well known e mail me"),
        ("ÇA VA? ﬁne", "ça va fine"),
        ("...'' —", ""),
    ],
)
def test_normalisation_leaves_words(written: str, words: str) -> None:
    assert normalize_text(written) == words
    assert normalize_text(words) == words


@pytest.mark.parametrize(
    ("transcript", "reference", "errors", "rate"),
    [
        ("we meet at noon", "We meet at noon.", 0, 0.0),
        ("we eat at noon", "We meet at noon.", 1, 0.25),
        ("we meet noon", "We meet at noon.", 1, 0.25),
        ("we all meet at at noon", "We meet at noon.", 2, 0.5),
        ("", "We meet at noon.", 4, 1.0),
        ("one two three", "one", 2, 2.0),
    ],
)
def test_errors_are_edits_over_reference_words(
    transcript: str, reference: str, errors: int, rate: float
) -> None:
    pytest.importorskip("jiwer")
    counted = count_word_errors(transcript, reference)
    assert counted.errors == errors
    assert counted.rate == rate


def test_a_reference_without_words_has_no_rate() -> None:
    pytest.importorskip("jiwer")
    assert count_word_errors("anything", " … ") == WordErrors(errors=1, reference_words=0)
    assert count_word_errors("anything", " … ").rate is None


def test_a_corpus_rate_weighs_by_words() -> None:
    total = WordErrors(errors=1, reference_words=1) + WordErrors(errors=0, reference_words=9)
    assert total.rate == 0.1


def test_a_missing_jiwer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(MissingExtraError, match=r"jiwer.*cse\[metrics\]"):
        count_word_errors("a", "a")
