"""Speed changes: pitch and length, nothing beyond the band, and the same bits however many threads there are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cse.audio import resample
from cse.testing.corpus import speech_like
from cse.training.speed import SpeedChange

RATE = 16000
FACTORS = (0.5, 0.9, 0.93, 1.0, 1.05, 1.1, 2.0)


def tone(frequency_hz: float, samples: int) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(samples) / RATE).astype(np.float32)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("frequency_hz", [100, 1000, 3300])
def test_a_tone_becomes_the_tone_of_another_pitch(factor, frequency_hz):
    changed = SpeedChange(factor)(tone(frequency_hz, 20_000))
    expected = tone(frequency_hz * factor, len(changed))
    inside = slice(1000, -1000)
    error = np.mean(np.square(changed[inside] - expected[inside])) / 0.5
    assert 10 * np.log10(max(error, 1e-12)) < -60
    assert changed.dtype == np.float32


@pytest.mark.parametrize("factor", [1.05, 1.1, 2.0])
def test_what_would_be_beyond_the_band_is_gone(factor):
    beyond_hz = 1.01 * RATE / 2 / factor
    assert np.std(SpeedChange(factor)(tone(beyond_hz, 20_000))[1000:-1000]) < 0.03


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("samples", [1, 100, 3521, 50_001])
def test_it_is_resampling_without_delay(factor, samples):
    speech = speech_like(samples / RATE, talker=1, sample_rate=RATE)
    changed, expected = SpeedChange(factor)(speech), resample(speech, round(RATE * factor), RATE)
    assert changed.shape == expected.shape
    if samples > 1000:  # the two filters differ next to the edge of the band
        assert np.square(changed - expected).sum() < 2e-3 * np.square(expected).sum()


def test_the_bits_do_not_depend_on_threads():
    speech, threads = speech_like(4.4, talker=1, sample_rate=RATE), torch.get_num_threads()
    try:
        results = set()
        for number in (1, 2, 4):
            torch.set_num_threads(number)
            results.add(SpeedChange(1.1)(speech).tobytes())
    finally:
        torch.set_num_threads(threads)
    assert len(results) == 1
