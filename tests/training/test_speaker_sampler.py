"""Talkers of a training mixture are of one corpus as often as asked."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from cse.errors import ManifestError
from cse.training.speaker_sampler import SpeakerSampler

DRAWS = 400


def speech(**corpora: tuple[int, float]) -> SimpleNamespace:
    """Corpora of so many speakers who have two utterances of so many seconds each."""
    return SimpleNamespace(
        utterances=[
            SimpleNamespace(speaker=f"{corpus}-{speaker}", duration_s=duration_s, extra={"corpus": corpus})
            for corpus, (speakers, duration_s) in corpora.items()
            for speaker in range(speakers)
            for _ in range(2)
        ]
    )


def drawn(corpora: SimpleNamespace, *, talkers: int = 2, **options: float) -> list[list[str]]:
    """The speakers of some mixtures."""
    sampler = SpeakerSampler(corpora, talkers=talkers, **options)
    rng = np.random.default_rng(0)
    mixtures = [sampler.draw(talkers, rng) for _ in range(DRAWS)]
    return [[corpora.utterances[own[0]].speaker for own in speakers] for speakers in mixtures]


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_talkers_are_of_one_corpus_as_often_as_asked(probability):
    mixtures = drawn(speech(read=(10, 1.0), spoken=(10, 1.0)), one_corpus=probability)
    alike = [len({speaker.split("-")[0] for speaker in speakers}) == 1 for speakers in mixtures]
    by_chance = 9 / 19
    assert np.mean(alike) == pytest.approx(probability + (1 - probability) * by_chance, abs=0.08)
    assert probability < 1 or all(alike)


def test_the_corpus_is_drawn_by_its_length_not_by_its_speakers():
    mixtures = drawn(speech(many=(30, 1.0), long=(10, 9.0)), one_corpus=1.0)
    assert np.mean([speakers[0].startswith("long") for speakers in mixtures]) == pytest.approx(0.75, abs=0.07)


def test_speakers_differ_and_all_of_their_utterances_may_be_heard():
    corpora = speech(read=(4, 1.0), spoken=(3, 1.0))
    assert all(len(set(speakers)) == 3 for speakers in drawn(corpora, talkers=3, one_corpus=0.7))
    assert all(len(own) == 2 for own in SpeakerSampler(corpora, talkers=3).draw(3, np.random.default_rng(0)))


def test_a_corpus_with_too_few_speakers_is_left_out():
    mixtures = drawn(speech(read=(2, 100.0), spoken=(3, 1.0)), talkers=3, one_corpus=1.0)
    assert all(speaker.startswith("spoken") for speakers in mixtures for speaker in speakers)


def test_no_corpus_with_enough_speakers_is_an_error():
    with pytest.raises(ManifestError, match=r"no corpus with 3 speakers or more.*name the `corpus`"):
        SpeakerSampler(speech(read=(2, 1.0), spoken=(2, 1.0)), talkers=3, one_corpus=0.5)


def test_who_is_of_no_corpus_is_in_none_with_others():
    unnamed = speech(read=(5, 1.0))
    for utterance in unnamed.utterances:
        utterance.extra.clear()
    with pytest.raises(ManifestError, match="got no corpus"):
        SpeakerSampler(unnamed, talkers=2, one_corpus=0.5)
    assert SpeakerSampler(unnamed, talkers=2).draw(2, np.random.default_rng(0))
