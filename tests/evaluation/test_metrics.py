"""Metrics against numbers worked out by hand, and against an independent implementation."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from cse.errors import InvalidAudioError, MissingExtraError
from cse.evaluation import metrics

RATE = 8000
TIME = np.arange(RATE) / RATE
TONE = np.sin(2 * np.pi * 440 * TIME)  # whole periods in one second: the two tones are orthogonal
OTHER = np.sin(2 * np.pi * 1000 * TIME)


def voice_like(seed: int, length: int = 16_000) -> np.ndarray:
    """Coloured noise with a syllable-like envelope: enough of a voice for filters and delays."""
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.standard_normal(length + 31), np.hanning(32), mode="valid")
    return noise * (1.1 + np.sin(2 * np.pi * 4 * np.arange(length) / 16_000 + seed))


@pytest.mark.parametrize(("gain", "expected_db"), [(1.0, 0.0), (0.1, 20.0), (10.0, -20.0), (0.5, 6.0206)])
def test_si_sdr_of_orthogonal_tones_is_their_level_difference(gain: float, expected_db: float) -> None:
    assert metrics.si_sdr(TONE + gain * OTHER, TONE) == pytest.approx(expected_db, abs=1e-4)


def test_si_sdr_is_not_the_plain_ratio_when_the_estimate_has_another_level() -> None:
    # plain SDR of 3 × tone is 10 log10(1 / 4) = −6 dB; the scale-invariant one sees only the other tone
    assert metrics.si_sdr(3 * TONE + 0.3 * OTHER, TONE) == pytest.approx(20.0, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-6, -1.0, 0.3, 1e5, 1e-160])
def test_scale_of_estimate_and_reference_does_not_matter(scale: float) -> None:
    target, interferer = voice_like(0), voice_like(1)
    estimate = target + 0.4 * interferer
    for metric in (metrics.si_sdr, metrics.sdr):
        expected = metric(estimate, target)
        assert metric(scale * estimate, target) == pytest.approx(expected, abs=1e-6)
        assert metric(estimate, scale * target) == pytest.approx(expected, abs=1e-6)


def test_si_sdr_ignores_a_constant_offset() -> None:
    expected = metrics.si_sdr(TONE + 0.2 * OTHER, TONE)
    assert metrics.si_sdr(TONE + 0.2 * OTHER + 5.0, TONE - 2.0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", [metrics.si_sdr, metrics.sdr])
def test_silence_and_perfection_are_finite(metric: object) -> None:
    assert callable(metric)
    silence = np.zeros_like(TONE)
    assert metric(silence, TONE) == -metrics.LIMIT_DB
    assert metric(TONE, silence) == -metrics.LIMIT_DB
    assert metric(silence, silence) == -metrics.LIMIT_DB
    assert metric(0.1 * TONE, TONE) == metrics.LIMIT_DB


def test_a_constant_counts_as_silence() -> None:
    assert metrics.si_sdr(np.full(100, 0.1), TONE[:100]) == -metrics.LIMIT_DB
    assert metrics.si_sdr(TONE[:100], np.full(100, 0.1)) == -metrics.LIMIT_DB


def test_si_sdri_of_the_mixture_itself_is_zero_and_of_a_cleaner_one_the_difference() -> None:
    mixture = TONE + OTHER
    assert metrics.si_sdri(mixture, TONE, mixture) == 0.0
    assert metrics.si_sdri(TONE + 0.1 * OTHER, TONE, mixture) == pytest.approx(20.0, abs=1e-6)


@pytest.mark.parametrize("level", [0.001, 0.1, 0.5, 2.0])
def test_sdr_agrees_with_mir_eval(level: float) -> None:
    separation = pytest.importorskip("mir_eval.separation")
    target, interferer = voice_like(2), voice_like(3)
    estimate = np.convolve(target, [1.0, 0.0, 0.4])[: len(target)] + level * interferer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it is deprecated there, and still the reference
        expected = separation.bss_eval_sources(target[None], estimate[None], compute_permutation=False)[0][0]
    assert metrics.sdr(estimate, target) == pytest.approx(expected, abs=1e-5)


def test_sdr_forgives_a_delay_within_its_taps_and_not_beyond() -> None:
    target = voice_like(4)
    late = np.concatenate([np.zeros(300), target[:-300]])
    too_late = np.concatenate([np.zeros(700), target[:-700]])
    assert metrics.si_sdr(late, target) < 0
    assert metrics.sdr(late, target) > 15
    assert metrics.sdr(too_late, target) < 5


@pytest.mark.parametrize(
    ("estimate", "reference"),
    [
        (TONE[:10], TONE[:11]),
        (TONE[:0], TONE[:0]),
        (TONE[None], TONE[None]),
        (TONE, np.full_like(TONE, np.nan)),
    ],
)
def test_signals_that_cannot_be_compared_are_refused(estimate: np.ndarray, reference: np.ndarray) -> None:
    for metric in (metrics.si_sdr, metrics.sdr):
        with pytest.raises(InvalidAudioError):
            metric(estimate, reference)


def test_right_needs_to_be_nearer_than_every_interferer() -> None:
    third = np.sin(2 * np.pi * 1500 * TIME)
    estimate = TONE + 0.8 * OTHER + 0.2 * third
    assert metrics.is_right(estimate, TONE, [OTHER, third])
    assert not metrics.is_right(estimate, third, [TONE, OTHER])
    assert not metrics.is_right(estimate, OTHER, [third, TONE])
    assert not metrics.is_right(TONE, TONE, [OTHER, TONE]), "a tie is not right"
    assert metrics.is_right(OTHER, TONE, []), "nobody it could have been mistaken for"


def test_padding_behind_a_short_reference_does_not_enter() -> None:
    estimate = np.concatenate([TONE + 0.1 * OTHER, 3 * OTHER])
    assert metrics.si_sdr_over_reference(estimate, TONE) == pytest.approx(20.0, abs=1e-6)
    assert metrics.si_sdr_over_reference(TONE[:4000], TONE) == metrics.LIMIT_DB


@pytest.mark.parametrize(("rate", "best"), [(16_000, 4.6), (8_000, 4.5), (44_100, 4.6), (11_025, 4.5)])
def test_pesq_is_highest_for_the_voice_itself(rate: int, best: float) -> None:
    pytest.importorskip("pesq")
    voice = _syllables(rate)
    rng = np.random.default_rng(0)
    clean = metrics.pesq(voice, voice, rate)
    noisy = metrics.pesq(voice + 0.05 * rng.standard_normal(len(voice)), voice, rate)
    assert clean is not None and noisy is not None
    assert clean == pytest.approx(best, abs=0.1)
    assert noisy < clean - 0.5


def test_pesq_says_nothing_about_silence_and_survives_two_minutes() -> None:
    pytest.importorskip("pesq")
    voice = _syllables(8_000)
    assert metrics.pesq(np.zeros_like(voice), voice, 8_000) is None
    assert metrics.pesq(voice, np.zeros_like(voice), 8_000) is None
    assert metrics.pesq(voice[:400], voice[:400], 8_000) is None
    long = np.tile(voice, 125 * 8_000 // len(voice))
    score = metrics.pesq(long, long, 8_000)
    assert score is not None and score > 4.4


def test_stoi_is_one_for_the_voice_itself_and_none_for_too_little() -> None:
    pytest.importorskip("pystoi")
    voice = _syllables(16_000)
    other = np.random.default_rng(0).standard_normal(len(voice))
    assert metrics.stoi(voice, voice, 16_000) == pytest.approx(1.0, abs=1e-6)
    noisy = metrics.stoi(voice + other, voice, 16_000)
    assert noisy is not None and noisy < 0.9
    assert metrics.stoi(voice[:2000], voice[:2000], 16_000) is None
    assert metrics.stoi(voice[:100], voice[:100], 16_000) is None


@pytest.mark.parametrize(("package", "metric"), [("pesq", metrics.pesq), ("pystoi", metrics.stoi)])
def test_a_missing_package_is_named_with_its_extra(
    package: str, metric: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(metric)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*cse\[metrics\]"):
        metric(TONE, TONE, RATE)


def _syllables(rate: int) -> np.ndarray:
    """Three seconds of a buzzing, breathing tone complex that PESQ takes for speech."""
    time = np.arange(3 * rate) / rate
    buzz = sum(np.sin(2 * np.pi * 140 * harmonic * time) / harmonic for harmonic in range(1, 24))
    return 0.2 * np.asarray(buzz) * np.clip(np.sin(2 * np.pi * 2.5 * time), 0, None)
