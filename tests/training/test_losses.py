"""The separation loss against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from cse.training.losses import PITNegativeSISNR


def tones(talkers: int) -> torch.Tensor:
    """Orthogonal unit-power signals (1, S, T)."""
    time = torch.arange(8000) / 8000
    return torch.stack(
        [math.sqrt(2) * torch.sin(2 * math.pi * 100 * (k + 1) * time) for k in range(talkers)]
    )[None]


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_order_and_level_of_estimates_do_not_matter(order):
    truth = tones(len(order))
    noise = tones(len(order) + 1)[:, -1:]
    estimates = 7.0 * (truth + 0.1 * noise)[:, list(order)]  # noise 20 dB below each talker
    assert PITNegativeSISNR()(estimates, truth).item() == pytest.approx(-20.0, abs=0.01)


def test_a_batch_is_averaged():
    truth = tones(2)
    noise = tones(3)[:, -1:]
    batch = torch.cat([truth + 0.1 * noise, truth + noise])
    assert PITNegativeSISNR()(batch, truth.expand(2, -1, -1)).item() == pytest.approx(-10.0, abs=0.01)


def test_what_is_separated_well_enough_no_longer_pulls():
    truth = tones(2)
    estimates = (truth + 1e-3 * tones(3)[:, -1:]).requires_grad_()
    loss = PITNegativeSISNR(max_si_snr_db=30.0)(estimates, truth)
    loss.backward()
    assert loss.item() == -30.0
    assert not estimates.grad.any()


def test_a_silent_talker_gives_a_finite_loss_and_gradient():
    truth = tones(2) * torch.tensor([1.0, 0.0]).view(1, 2, 1)
    estimates = torch.randn(1, 2, 8000, requires_grad=True)
    loss = PITNegativeSISNR()(estimates, truth)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(estimates.grad).all()


def test_bfloat16_estimates_are_compared_in_float32():
    truth = tones(2)
    estimates = (truth + 0.1 * tones(3)[:, -1:]).bfloat16()
    assert PITNegativeSISNR()(estimates, truth).dtype == torch.float32
