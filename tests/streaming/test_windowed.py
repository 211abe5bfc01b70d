"""A separator that looks ahead, window by window: in step, in time, talkers in their places."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cse.errors import ConfigError
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.streaming.separation import begin_separation
from cse.streaming.windowed import WindowedSeparation, Windows
from cse.testing.models import SplitByFrequency, ToldChooser, told_extractor, two_tones
from tests.streaming.conftest import causal_extractor, stream_through

WINDOWS = Windows(window_s=0.5, hop_s=0.1, lookahead_s=0.05)
RATE = 16000


def method(separator: SplitByFrequency | None = None) -> SeparateThenChoose:
    chooser = ToldChooser(1)
    return SeparateThenChoose(separator=separator or SplitByFrequency(), chooser=chooser)


class Shuffling(SplitByFrequency):
    """Gives the talkers in another order every time."""

    calls = 0

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(mixture).roll(self.calls % 2, dims=1)


@pytest.mark.parametrize("chunk", [1600, 7000, (1, 333, 4096)])
def test_voices_are_those_of_the_whole(chunk):
    mixture = two_tones(2.03)
    voices = stream_through(WindowedSeparation(method(), WINDOWS), mixture, chunk)
    assert voices.shape == (2, len(mixture))
    low, high = voices[:, 3000:-3000]
    time_s = np.arange(len(mixture))[3000:-3000] / RATE
    assert np.abs(low - 0.2 * np.sin(2 * np.pi * 300 * time_s)).max() < 0.02
    assert np.abs(high - 0.2 * np.sin(2 * np.pi * 2500 * time_s)).max() < 0.02


def test_chunks_change_nothing():
    mixture = two_tones(1.31)
    one, other = (stream_through(WindowedSeparation(method(), WINDOWS), mixture, n) for n in (77, 16_000))
    np.testing.assert_array_equal(one, other)


def test_talkers_keep_their_places_when_the_network_changes_them():
    voices = stream_through(WindowedSeparation(method(Shuffling()), WINDOWS), two_tones(2.0), 1000)
    peaks_hz = np.abs(np.fft.rfft(voices, axis=1)).argmax(axis=1) * RATE / voices.shape[1]
    assert sorted(peaks_hz) == pytest.approx([300, 2500], abs=5)
    for voice, peak_hz in zip(voices, peaks_hz, strict=True):
        for part in np.split(voice, 8):
            assert np.abs(np.fft.rfft(part)).argmax() * 8 / 2.0 == pytest.approx(peak_hz, abs=10)


def test_a_sample_comes_out_within_the_latency_and_needs_no_more(rng):
    mixture = (0.1 * rng.standard_normal(2 * RATE)).astype(np.float32)
    for at in (1600, 1601, 12_345, 16_000):
        stream, other = (WindowedSeparation(method(), WINDOWS) for _ in range(2))
        ready = stream.push(mixture[:at])
        assert ready.shape[1] >= at - stream.latency
        later = other.push(np.concatenate([mixture[:at], 5 * mixture[at:]]))
        np.testing.assert_array_equal(later[:, : ready.shape[1]], ready)
    assert stream.latency == 1600 + 800 - 1


@pytest.mark.parametrize("samples", [1, 100, 1600, 1700, 8000])
def test_every_length_comes_out_whole(samples):
    stream = WindowedSeparation(method(), WINDOWS)
    assert stream_through(stream, two_tones(1.0)[:samples], 500).shape == (2, samples)


def test_memory_does_not_grow():
    stream = WindowedSeparation(method(), WINDOWS)
    for _ in range(20):
        stream.push(two_tones(0.5))
    assert stream._heard.size <= 0.6 * RATE and stream._before.size <= 2 * 0.5 * RATE


def test_which_way_is_taken_depends_on_the_network():
    assert begin_separation(causal_extractor().method, WINDOWS).latency == 63
    assert begin_separation(told_extractor().method, WINDOWS).latency == 2399


@pytest.mark.parametrize(
    "lengths",
    [{"hop_s": 4.0}, {"hop_s": 0.2}, {"lookahead_s": 0.0}, {"hop_s": float("nan")}, {"window_s": 1.2}],
)
def test_windows_that_make_no_sense_are_refused(lengths):
    with pytest.raises(ConfigError, match="expected 0 < lookahead_s"):
        Windows(**lengths)
