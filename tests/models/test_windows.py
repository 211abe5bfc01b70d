"""Long recordings: windows must neither swap talkers, nor lose samples, nor change levels."""

from __future__ import annotations

import itertools

import pytest
import torch

from cse.errors import CancelledError
from cse.models.windows import match_levels, separate_in_windows

TALKERS = torch.randn(2, 10_000, generator=torch.Generator().manual_seed(0))
MIXTURE = TALKERS.sum(0)


def is_multiple(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one / one.norm(), other / other.norm(), atol=1e-5)


def place_of(piece: torch.Tensor) -> int:
    """Where in the mixture a piece is from, at whatever level and offset."""
    return next(i for i in range(len(MIXTURE)) if is_multiple(MIXTURE[i : i + 9].diff(), piece[:9].diff()))


class Oracle:
    """Separates perfectly, but in another order and at another level at each call."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __call__(self, mixture: torch.Tensor) -> torch.Tensor:
        call = len(self.lengths)
        self.lengths.append(mixture.shape[-1])
        assert mixture.abs().max() == pytest.approx(0.9)
        start = place_of(mixture[0])
        piece = TALKERS[:, start : start + mixture.shape[-1]]
        order = [0, 1] if call % 2 == 0 else [1, 0]
        return (piece[order] * torch.tensor([[0.1 + call], [3.0]])).unsqueeze(0)


@pytest.mark.parametrize(
    ("window", "overlap"),
    [(20_000, 500), (10_000, 500), (9_990, 500), (3_000, 1_000), (2_500, 1_249), (1_037, 311)],
)
def test_talkers_stay_in_order_at_their_level_whatever_the_window(window, overlap):
    result = separate_in_windows(Oracle(), MIXTURE, window=window, overlap=overlap, sample_rate=8_000)
    assert torch.allclose(result, TALKERS, atol=1e-3)


def test_memory_of_the_network_is_bounded_by_the_window():
    oracle = Oracle()
    separate_in_windows(oracle, MIXTURE, window=2_000, overlap=500, sample_rate=8_000)
    assert 1_500 < min(oracle.lengths) <= max(oracle.lengths) <= 2_000


def test_a_recording_that_fits_is_separated_in_one_piece():
    oracle = Oracle()
    separate_in_windows(oracle, MIXTURE, window=10_000, overlap=500, sample_rate=8_000)
    assert oracle.lengths == [10_000]


def test_it_stops_between_windows_when_it_is_asked_to():
    oracle = Oracle()
    answers = itertools.chain([False, False], itertools.repeat(True))
    with pytest.raises(CancelledError):
        separate_in_windows(
            oracle, MIXTURE, window=2_000, overlap=500, sample_rate=8_000, should_stop=lambda: next(answers)
        )
    assert len(oracle.lengths) == 2


def test_a_silent_estimate_stays_silent_and_the_other_gets_its_level():
    levelled = match_levels(torch.stack([torch.zeros(10_000), 5 * TALKERS[0]]), TALKERS[0])
    assert torch.equal(levelled[0], torch.zeros(10_000))
    assert torch.allclose(levelled[1], TALKERS[0], atol=1e-3)


def test_equal_estimates_share_the_mixture():
    levelled = match_levels(torch.stack([MIXTURE, MIXTURE]), MIXTURE)
    assert torch.allclose(levelled.sum(0), MIXTURE, atol=1e-2)


@pytest.mark.parametrize(
    ("mixing", "gains"),
    [
        ([[1.0, 0.5], [1.0, 0.1]], [1.2, 0.0]),  # two gains without a limit: 2.25 and -1.25
        ([[1.0, 0.3], [1.0, 0.0]], [1.3 / 1.09, 0.0]),
        ([[1.0, 0.5], [1.0, 0.1], [0.9, 0.4]], [1.2, 0.0, 0.0]),
        ([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0]),
    ],
)
def test_where_a_gain_would_be_negative_the_others_are_the_best_without(mixing, gains):
    basis = torch.linalg.qr(TALKERS.T).Q.T  # so that the gains can be told by hand
    estimates = torch.tensor(mixing) @ basis
    levelled = match_levels(estimates, basis.sum(0))
    assert torch.allclose(levelled, torch.tensor(gains)[:, None] * estimates, atol=1e-5)


def test_the_gains_are_the_nearest_that_are_not_negative():
    nnls = pytest.importorskip("scipy.optimize").nnls
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        estimates = torch.randn(3, 3, generator=generator) @ torch.randn(3, 100, generator=generator)
        estimates = estimates + 0.05 * torch.randn(3, 100, generator=generator)
        mixture = torch.randn(100, generator=generator) + estimates[0] - 0.5 * estimates[1]
        left = (match_levels(estimates, mixture).sum(0) - mixture).norm()
        assert left == pytest.approx(nnls(estimates.T.numpy(), mixture.numpy())[1], rel=1e-4)


def test_a_whisper_is_separated_like_a_shout_and_stays_a_whisper():
    class Loud(Oracle):
        def __call__(self, mixture: torch.Tensor) -> torch.Tensor:
            assert mixture.abs().max() == pytest.approx(0.9)
            return TALKERS.unsqueeze(0)

    result = separate_in_windows(Loud(), 1e-4 * MIXTURE, window=20_000, overlap=500, sample_rate=8_000)
    assert torch.allclose(result, 1e-4 * TALKERS, atol=1e-7)
