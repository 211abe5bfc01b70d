"""Windows whose talkers come in another order each time, and what tells who is who."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from cse.models.talker_tracks import TalkerTracks, VoiceComparison
from cse.models.windows import separate_in_windows
from cse.testing.models import SAMPLE_RATE as RATE
from cse.testing.models import ToneVoice

WINDOW, OVERLAP = 4 * RATE, RATE
HOP = WINDOW - OVERLAP
ORDERS = list(itertools.permutations(range(3)))


class Shuffling:
    """Separates perfectly, and returns the talkers in another order at each call."""

    def __init__(self, talkers: torch.Tensor) -> None:
        self.talkers = talkers
        self.calls = 0

    def __call__(self, mixture: torch.Tensor) -> torch.Tensor:
        start = self.calls * HOP
        order = ORDERS[(5 * self.calls) % len(ORDERS)]
        order = [place for place in order if place < len(self.talkers)]
        self.calls += 1
        return self.talkers[order, start : start + mixture.shape[-1]].unsqueeze(0)


class NeverAsked(ToneVoice):
    def embed(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        raise AssertionError("the correlation decides")


def by_voice(encoder: ToneVoice | None = None) -> TalkerTracks:
    return TalkerTracks(
        sample_rate=RATE,
        voices=VoiceComparison(encoder=encoder or ToneVoice(), sample_rate=RATE, same_above=0.5),
    )


def tones(windows: int, *frequencies_hz: float) -> torch.Tensor:
    time_s = torch.arange(windows * HOP + OVERLAP) / RATE
    return torch.stack([0.2 * torch.sin(2 * torch.pi * hz * time_s) for hz in frequencies_hz])


def only_in(talker: torch.Tensor, *windows: int) -> None:
    """Silence a talker (T,) in all other windows, and in what they share with their neighbours."""
    kept = torch.zeros_like(talker)
    for window in windows:
        kept[window * HOP + OVERLAP : (window + 1) * HOP] = 1.0
    talker *= kept


def separated(talkers: torch.Tensor, tracks: TalkerTracks | None) -> torch.Tensor:
    return separate_in_windows(
        Shuffling(talkers), talkers.sum(0), window=WINDOW, overlap=OVERLAP, sample_rate=RATE, tracks=tracks
    )


def is_right(talkers: torch.Tensor, tracks: TalkerTracks | None) -> bool:
    return torch.allclose(separated(talkers, tracks), talkers, atol=2e-3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_who_talks_in_both_windows_is_recognised_without_asking_for_voices(count):
    assert is_right(tones(6, 300, 900, 2300)[:count], by_voice(NeverAsked()))


def test_one_of_two_is_enough():
    talkers = tones(6, 300, 900)
    only_in(talkers[1], *range(6))
    assert is_right(talkers, by_voice(NeverAsked()))


@pytest.mark.parametrize("count", [2, 3])
def test_across_silence_the_voices_decide(count):
    talkers = tones(6, 300, 900, 2300)[:count]
    for talker in talkers:
        only_in(talker, *range(6))
    assert is_right(talkers, by_voice())
    assert not is_right(talkers, None), "otherwise this test shows nothing"


def test_with_one_of_three_in_the_overlap_the_voices_decide_about_the_others():
    talkers = tones(6, 300, 900, 2300)
    only_in(talkers[1], *range(6))
    only_in(talkers[2], *range(6))
    assert is_right(talkers, by_voice())
    assert not is_right(talkers, None), "otherwise this test shows nothing"


def test_who_was_silent_for_a_while_comes_back_to_the_old_place():
    talkers = tones(7, 300, 900, 2300)
    only_in(talkers[0], 0, 1, 2, 3, 4, 5, 6)
    only_in(talkers[1], 0, 5, 6)
    only_in(talkers[2], 2, 4, 5)
    assert is_right(talkers, by_voice())


def test_a_window_of_silence_forgets_nobody():
    talkers = tones(5, 300, 900)
    for talker in talkers:
        only_in(talker, 0, 2, 4)
    assert is_right(talkers, by_voice())


def test_what_a_talker_leaves_in_an_empty_output_is_no_talker():
    """A leak of -26 dB in the third output is most like the first talker, and must not lead anybody astray."""
    talkers = tones(6, 300, 900, 2300)
    talkers[2] = 0.05 * talkers[0]
    result = separated(talkers, by_voice())
    for place in range(2):  # the level of what is the same twice is not defined
        assert torch.corrcoef(torch.stack([result[place], talkers[place]]))[0, 1] > 0.999


@pytest.mark.parametrize("seed", range(3))
def test_no_click_at_the_seams_though_windows_differ(seed):
    """Each window leaks differently: a seam without a fade would be a step in the waveform."""
    talkers = tones(6, 310, 930)
    calls = itertools.count()

    def leaky(mixture: torch.Tensor) -> torch.Tensor:
        call = next(calls)
        piece = talkers[:, call * HOP :][:, : mixture.shape[-1]]
        leak = 0.4 * torch.rand(2, 1, generator=torch.Generator().manual_seed(10 * seed + call))
        return (piece + leak * piece.flip(0)).unsqueeze(0)

    result = separate_in_windows(leaky, talkers.sum(0), window=WINDOW, overlap=OVERLAP, sample_rate=RATE)
    steepest = (talkers[0].diff().abs().max() + talkers[1].diff().abs().max()).item()
    assert result.diff(dim=1).abs().max() < steepest
    assert result.diff(n=2, dim=1).abs().max() < 1.2 * 0.2 * (2 * np.pi / RATE) ** 2 * (930**2 + 310**2)


def test_every_length_comes_out_whole():
    rng = np.random.default_rng(0)
    for _ in range(300):
        window = int(rng.integers(2, 400))
        overlap = int(rng.integers(0, window))
        samples = int(rng.integers(1, 2000))
        mixture = torch.randn(samples, generator=torch.Generator().manual_seed(samples))
        mixture -= mixture.mean()
        lengths = []

        def halves(piece: torch.Tensor, lengths: list[int] = lengths) -> torch.Tensor:
            lengths.append(piece.shape[-1])
            return torch.stack([piece, 0 * piece], 1)

        result = separate_in_windows(halves, mixture, window=window, overlap=overlap, sample_rate=RATE)
        assert result.shape == (2, samples)
        assert max(lengths) <= window
        assert result[0][-1] != 0 or mixture[-1] == 0 or samples == 1 or window < 100, "the tail is lost"


def test_half_precision_takes_half_of_the_memory_and_is_exact_enough():
    talkers = tones(4, 300, 900)
    exact = separated(talkers, None)
    half = separate_in_windows(
        Shuffling(talkers),
        talkers.sum(0),
        window=WINDOW,
        overlap=OVERLAP,
        sample_rate=RATE,
        dtype=torch.float16,
    )
    assert half.dtype == torch.float16
    error_db = 10 * torch.log10((half.float() - exact).square().sum() / exact.square().sum())
    assert error_db < -65


def test_an_output_nobody_has_spoken_in_stays_empty():
    """Memory is taken by what is written: a leak in an output without a talker is not."""
    talkers = tones(6, 300, 900, 2300)
    talkers[1] *= 0.05
    only_in(talkers[2], 3, 4)
    result = separated(talkers, by_voice())
    assert not result[1].any()
    speech = talkers[2].nonzero()
    assert not result[2, : int(speech[0]) - WINDOW].any()
    assert torch.corrcoef(torch.stack([result[2], talkers[2]]))[0, 1] > 0.999
