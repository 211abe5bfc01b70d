"""The corpus of `cse.testing` is what its manifests say: other tests rest on it."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import soundfile

from cse.manifest import read_mixtures, read_utterances
from cse.testing.corpus import speech_like, write_mixtures, write_utterances


def test_mixtures_are_the_sum_of_their_sources_at_the_stated_snr(tmp_path: Path):
    for mixture in read_mixtures(write_mixtures(tmp_path, talkers=3, duration_s=0.5, sample_rate=8000)):
        parts = [_read(path, 8000) for path in (mixture.target, *mixture.interferers)]
        # every file is rounded to 16 bits on its own
        np.testing.assert_allclose(_read(mixture.mixture, 8000), np.sum(parts, axis=0), atol=4 / 2**15)
        for interferer, snr_db in zip(parts[1:], mixture.snr_db, strict=True):
            assert abs(20 * np.log10(_rms(parts[0]) / _rms(interferer)) - snr_db) < 0.1


def test_utterances_alternate_between_two_talkers_and_carry_their_history(made_up_utterances: Path):
    utterances = read_utterances(made_up_utterances)
    assert len(utterances) == 24
    for first, second in itertools.pairwise(utterances):
        if first.dialogue == second.dialogue:
            assert first.speaker != second.speaker
            assert second.history[:-1] == first.history
            assert (second.history[-1].text, second.history[-1].speaker) == (first.text, first.speaker)
        else:
            assert second.history == ()


def test_same_seed_same_corpus(tmp_path: Path):
    manifests = [write_utterances(tmp_path / name, dialogues=1, duration_s=0.3) for name in "ab"]
    assert manifests[0].read_bytes() == manifests[1].read_bytes()
    for first, second in zip(*(sorted(path.parent.glob("audio/*")) for path in manifests), strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_a_talker_keeps_the_voice_and_another_talker_has_another():
    def spectrum(talker: int, seed: int) -> np.ndarray:
        power = np.abs(np.fft.rfft(speech_like(4.0, talker=talker, seed=seed))) ** 2
        return np.log(power[:16000].reshape(100, -1).mean(axis=1) + 1e-9)

    def alike(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.corrcoef(first, second)[0, 1])

    for talker in range(5):
        own = alike(spectrum(talker, 0), spectrum(talker, 1))
        others = [alike(spectrum(talker, 0), spectrum(other, 1)) for other in range(5) if other != talker]
        assert own > max(others)


def _read(path: Path | None, sample_rate: int) -> np.ndarray:
    assert path is not None
    waveform, found = soundfile.read(path)
    assert found == sample_rate
    return waveform


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(waveform**2)))
