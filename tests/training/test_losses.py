"""Losses and objectives against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from cse.training.losses import contrastive_loss, level_db, neg_si_snr, pit_neg_si_snr, selection_loss
from cse.training.objectives.separation import Separation


class Fixed(nn.Module):
    """A model that returns what it is told, whatever the mixture."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, mixture: torch.Tensor, **_: object) -> object:
        return self.output


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
    loss, assigned = pit_neg_si_snr(estimates, truth)
    assert loss.item() == pytest.approx(-20.0, abs=0.01)
    assert [order[estimate] for estimate in assigned[0]] == list(range(len(order)))


def test_every_mixture_has_a_loss_of_its_own():
    truth = tones(2)
    noise = tones(3)[:, -1:]
    batch = torch.cat([truth + 0.1 * noise, truth + noise])
    loss, _ = pit_neg_si_snr(batch, truth.expand(2, -1, -1))
    assert loss.tolist() == pytest.approx([-20.0, 0.0], abs=0.01)


def test_what_is_separated_well_enough_no_longer_pulls():
    truth = tones(2)
    estimates = (truth + 1e-3 * tones(3)[:, -1:]).requires_grad_()
    batch = {"mixture": truth.sum(1), "talkers": truth}
    loss = Separation(max_si_snr_db=30.0).loss(Fixed(estimates), batch)["neg_si_snr_db"]
    loss.backward()
    assert loss.item() == -30.0
    assert not estimates.grad.any()


def test_improvement_is_counted_from_the_mixture():
    truth = tones(2)
    estimates = truth + 0.1 * tones(3)[:, -1:]
    results = Separation().measure(Fixed(estimates), {"mixture": truth.sum(1), "talkers": truth})
    assert results["si_sdri_db"].tolist() == pytest.approx([20.0], abs=0.01)


@pytest.mark.parametrize("silent", ["talker", "estimate"])
def test_silence_gives_a_finite_loss_and_gradient(silent):
    quiet = torch.tensor([1.0, 0.0]).view(1, 2, 1)
    truth = tones(2) * (quiet if silent == "talker" else 1)
    estimates = torch.randn(1, 2, 8000, requires_grad=True)
    heard = estimates * quiet if silent == "estimate" else estimates
    for loss in (pit_neg_si_snr(heard, truth)[0].sum(), neg_si_snr(heard[:, 1], truth[:, 1]).sum()):
        estimates.grad = None
        loss.backward(retain_graph=True)
        assert torch.isfinite(loss)
        assert torch.isfinite(estimates.grad).all()


def test_bfloat16_estimates_are_compared_in_float32():
    truth = tones(2)
    estimates = (truth + 0.1 * tones(3)[:, -1:]).bfloat16()
    assert pit_neg_si_snr(estimates, truth)[0].dtype == torch.float32
    assert neg_si_snr(estimates[:, 0], truth[:, 0]).dtype == torch.float32


def test_level_of_an_absent_target_falls_to_silence_and_has_a_gradient_there():
    mixture = tones(1)[:, 0]
    quiet = (0.1 * mixture).requires_grad_()
    level = level_db(quiet, mixture)
    level.sum().backward()
    assert level.item() == pytest.approx(-19.6, abs=0.1)
    assert quiet.grad.abs().max() > 0
    assert level_db(0 * mixture, 0 * mixture).item() == pytest.approx(-30)


def test_the_choice_of_nobody_is_the_last_class():
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert selection_loss(logits, torch.tensor([0, -1])).item() == pytest.approx(expected)
    assert selection_loss(logits, torch.tensor([1, -1])).item() == pytest.approx(expected + 1)


def test_a_model_that_cannot_say_nobody_learns_nothing_from_items_without_target():
    logits = torch.tensor([[1.0, 0.0, -torch.inf], [0.0, 1.0, -torch.inf]], requires_grad=True)
    loss = selection_loss(logits, torch.tensor([0, -1]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[1].any()


def test_contrast_compares_voices_and_cues_both_ways():
    scores = torch.zeros(6, 3)
    scores[1, 0] = scores[2, 1] = 3.0
    among_six, among_two = (-math.log(math.exp(3) / (math.exp(3) + others)) for others in (5, 1))
    expected = (among_six + among_two) / 2
    assert contrastive_loss(scores, torch.tensor([1, 2, -1])).item() == pytest.approx(expected)
    assert contrastive_loss(scores, torch.tensor([1, -1, -1])).item() == 0.0
