"""How many talkers a recording has, by what the outputs of a separator hold."""

from __future__ import annotations

import pytest
import torch

from cse.models.found_talkers import found_talkers
from cse.models.levels import speech_levels

RATE = 16_000


def voice(seed: int, seconds: float = 10.0, level: float = 0.1) -> torch.Tensor:
    """Noise that stops and goes, as speech does."""
    generator = torch.Generator().manual_seed(seed)
    samples = round(seconds * RATE)
    syllables = torch.rand(-(-samples // 4000), generator=generator).gt(0.4).float().repeat_interleave(4000)
    return level * torch.randn(samples, generator=generator) * syllables[:samples]


@pytest.mark.parametrize(("level_db", "found"), [(-25.0, [[0]]), (-15.0, [[0], [1]])])
def test_an_output_is_somebody_s_down_to_20_db(level_db, found):
    outputs = torch.stack([voice(0), 10 ** (level_db / 20) * voice(1)])
    assert found_talkers(outputs, RATE) == found
    assert found_talkers(outputs.half(), RATE) == found


def test_who_says_little_is_somebody_all_the_same():
    short = torch.zeros(60 * RATE)
    short[20 * RATE : 21 * RATE] = 0.1 * torch.randn(RATE)
    assert found_talkers(torch.stack([voice(0, 60.0), short]), RATE) == [[0], [1]]


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize(("seconds", "found"), [(0.4, [[0]]), (0.6, [[0], [1]])])
def test_half_a_second_is_enough_at_any_rate(rate, seconds, found):
    noise = torch.randn(2, 10 * rate, generator=torch.Generator().manual_seed(0))
    noise[1, round(seconds * rate) :] = 0.0
    assert found_talkers(noise, rate) == found


def test_a_click_is_nobody():
    click = torch.zeros(10 * RATE)
    click[5000:5100] = 1.0
    assert found_talkers(torch.stack([voice(0), click]), RATE) == [[0]]


def test_twins_are_one_talker_and_neighbours_are_two():
    one, other, residue = voice(0), voice(1), 0.02 * voice(2)
    assert found_talkers(torch.stack([one, 0.4 * one + residue, other]), RATE) == [[0, 1], [2]]
    assert found_talkers(torch.stack([one, other, 0.5 * one + other]), RATE) == [[0], [1], [2]]


def test_silence_all_over_is_one_talker():
    assert found_talkers(torch.zeros(3, RATE), RATE) == [[0]]


@pytest.mark.parametrize("samples", [1, 799, 800, 801, 3200, 16_001])
def test_levels_of_any_length(samples):
    assert speech_levels(torch.full((2, samples), 0.5), RATE).tolist() == pytest.approx([0.25, 0.25])


def test_looking_changes_nothing():
    outputs = torch.stack([voice(0), voice(1)])
    before = outputs.clone()
    found_talkers(outputs, RATE)
    assert torch.equal(outputs, before)
