"""Voices of one pitch range are found, and put together as often as asked."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cse.training.mixtures import DynamicMixtures, MixingConfig
from cse.training.pitch import LOWEST_HZ, Pitches

RATE = 16000


class Buzzes:
    """Utterances of one speaker each, a pulse train of a constant pitch in place of a voice."""

    sample_rate = RATE

    def __init__(self, *pitches_hz: float, length_s: float = 1.5) -> None:
        self.utterances = [SimpleNamespace(speaker=str(number)) for number in range(len(pitches_hz))]
        self.reads = 0
        self._voices = [_buzz(pitch_hz, length_s) for pitch_hz in pitches_hz]

    def length(self, index: int) -> int:
        return len(self._voices[index])

    def read(self, index: int, start: int = 0, samples: int | None = None) -> np.ndarray:
        self.reads += 1
        return self._voices[index][start : None if samples is None else start + samples].copy()


def _buzz(pitch_hz: float, length_s: float) -> np.ndarray:
    time_s = np.arange(round(length_s * RATE)) / RATE
    harmonics = np.arange(1, int(4000 / pitch_hz) + 1)[:, None] if pitch_hz else np.zeros((1, 1))
    return (
        (0.1 * np.sin(2 * np.pi * pitch_hz * harmonics * time_s) / harmonics.clip(1))
        .sum(0)
        .astype(np.float32)
    )


@pytest.mark.parametrize("pitch_hz", [90.0, 130.0, 220.0, 320.0])
def test_pitch_is_measured_to_half_a_semitone_and_once(pitch_hz):
    speech = Buzzes(pitch_hz)
    pitches = Pitches(speech)
    assert pitches.semitones(0) == pytest.approx(12 * math.log2(pitch_hz / LOWEST_HZ), abs=0.5)
    pitches.semitones(0)
    assert speech.reads == 1


@pytest.mark.parametrize(
    "speech", [Buzzes(150.0, 0.0), Buzzes(150.0, 150.0, length_s=0.1)], ids=["silent", "short"]
)
def test_what_has_no_pitch_is_near_to_nobody(speech):
    assert Pitches(speech).distance(0, 1) == math.inf


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_voices_of_one_pitch_meet_as_often_as_asked(probability):
    # periods of whole samples: between two of them, the next octave fits as well
    low, high = [RATE / (155 + step) for step in range(6)], [RATE / (50 + step) for step in range(6)]
    config = MixingConfig(talkers=2, segment_s=0.2, speeds=(1.0,), close_pitch_probability=probability)
    mixtures = DynamicMixtures(speech=Buzzes(*low, *high), config=config, seed=0, length=80)
    alike = [
        _is_high(item["talkers"][0]) == _is_high(item["talkers"][1])
        for item in map(mixtures.__getitem__, range(80))
    ]
    by_chance = 5 / 11  # of eleven others, five are in one's own range
    assert np.mean(alike) == pytest.approx(probability + (1 - probability) * by_chance, abs=0.13)
    assert probability < 1 or all(alike)


def _is_high(voice) -> bool:
    """Whether there is nothing where the low voices have their pitch."""
    spectrum = np.abs(np.fft.rfft(voice.numpy(), RATE))
    return bool(spectrum[90:115].max() < 0.1 * spectrum[280:330].max())


def test_all_of_three_are_different_speakers():
    config = MixingConfig(talkers=3, segment_s=0.2, close_pitch_probability=1.0)
    mixtures = DynamicMixtures(speech=Buzzes(100.0, 101.0, 102.0), config=config, seed=0, length=5)
    for index in range(5):
        talkers = mixtures[index]["talkers"]
        assert (talkers.abs().amax(-1) > 0).all()
        assert not any(np.allclose(talkers[one], talkers[other]) for one, other in ((0, 1), (0, 2), (1, 2)))
