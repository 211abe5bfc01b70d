"""What is listened to of a long voice."""

from __future__ import annotations

import numpy as np
import pytest

from cse.inference.excerpts import excerpt

RATE = 1000


def talk(duration_s: float, *times_s: tuple[float, float]) -> np.ndarray:
    """Noise at these times, silence otherwise."""
    voice = 1e-4 * np.random.default_rng(0).standard_normal(round(duration_s * RATE)).astype(np.float32)
    for begin_s, end_s in times_s:
        piece = slice(round(begin_s * RATE), round(end_s * RATE))
        voice[piece] += 0.3 * np.random.default_rng(1).standard_normal(len(voice[piece])).astype(np.float32)
    return voice


def spoken_s(voice: np.ndarray) -> float:
    return float((np.abs(voice) > 0.01).sum()) / 0.97 / RATE


def test_a_short_voice_is_heard_whole():
    voice = talk(60, (3, 50))
    assert np.array_equal(excerpt(voice, RATE, max_s=60.0), voice)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("duration_s", [61.3, 200, 3600])
def test_it_is_as_long_as_asked_and_full_of_speech(duration_s, dtype):
    voice = talk(duration_s, *((begin, begin + 8) for begin in range(0, round(duration_s) - 8, 20)))
    heard = excerpt(voice.astype(dtype), RATE, max_s=60.0)
    assert heard.dtype == np.float32
    assert len(heard) <= 62 * RATE
    assert spoken_s(heard) > (15 if duration_s < 100 else 30)


def test_the_first_words_are_heard_and_those_at_the_end():
    voice = talk(1200, (100, 104), (300, 309), (1150, 1155))
    heard = excerpt(voice, RATE, max_s=60.0)
    assert spoken_s(heard) == pytest.approx(18, abs=1.0)


def test_little_speech_is_found():
    voice = talk(1200, (777, 779))
    assert spoken_s(excerpt(voice, RATE, max_s=60.0)) == pytest.approx(2, abs=0.1)


def test_silence_is_silence():
    assert not excerpt(np.zeros(100 * RATE, np.float32), RATE, max_s=60.0).any()
