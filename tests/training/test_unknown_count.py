"""Separation of one to three talkers: who is not there is silent, who is has the right level."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from cse.testing.corpus import speech_like
from cse.training.objectives.unknown_count import UnknownCountSeparation

RATE = 8000


def batch_of(count: int) -> dict[str, Any]:
    voices = [
        torch.from_numpy(speech_like(1.0, talker=talker, sample_rate=RATE)).float() for talker in range(count)
    ]
    talkers = torch.stack([*voices, *[torch.zeros(RATE)] * (3 - count)])[None]
    return {"mixture": talkers.sum(1), "talkers": talkers}


class Told:
    """A model that returns these whatever it hears."""

    sample_rate = RATE

    def __init__(self, estimates: Tensor) -> None:
        self.estimates = estimates

    def __call__(self, mixture: Tensor) -> Tensor:
        return self.estimates


def told(estimates: Tensor) -> Any:
    return Told(estimates)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_right_voices_in_any_order_cost_least(count):
    batch, objective = batch_of(count), UnknownCountSeparation()
    perfect = objective.loss(told(batch["talkers"][:, [2, 0, 1]]), batch)["neg_snr_db"]
    assert perfect.item() == pytest.approx((count * -30 + (3 - count) * -25) / 3, abs=0.1)
    quieter = objective.loss(told(0.5 * batch["talkers"]), batch)["neg_snr_db"]
    assert quieter > perfect + 5, "a wrong level must cost"


def test_a_leftover_output_must_be_silent():
    batch, objective = batch_of(2), UnknownCountSeparation()
    talkers = batch["talkers"].clone()
    talkers[:, 2] = 0.3 * talkers[:, 0]
    leaking = objective.loss(told(talkers), batch)["neg_snr_db"]
    assert leaking > objective.loss(told(batch["talkers"]), batch)["neg_snr_db"] + 3


def test_the_gradient_is_finite_where_all_is_silent():
    batch = batch_of(2)
    estimates = torch.zeros(1, 3, RATE, requires_grad=True)
    UnknownCountSeparation().loss(told(estimates), batch)["neg_snr_db"].backward()
    assert estimates.grad is not None
    assert estimates.grad.isfinite().all()


@pytest.mark.parametrize("count", [2, 3])
def test_measures_are_those_of_the_talkers_who_are_there(count):
    batch = batch_of(count)
    noise = 0.1 * torch.randn(1, 3, RATE, generator=torch.Generator().manual_seed(0))
    measured = SimpleNamespace(
        **UnknownCountSeparation().measure(told(batch["talkers"].flip(1) + noise * batch["talkers"]), batch)
    )
    assert measured.si_sdri_db.item() > 15
    assert (measured.two_talkers_db if count == 2 else measured.three_talkers_db).item() > 15
    assert (measured.three_talkers_db if count == 2 else measured.two_talkers_db).isnan().all()
    assert measured.count_accuracy.item() == 1


def test_of_one_talker_only_the_number_is_measured():
    batch = batch_of(1)
    alone = UnknownCountSeparation().measure(told(batch["talkers"]), batch)
    assert alone["si_sdri_db"].isnan().all()
    assert alone["count_accuracy"].item() == 1
    two = batch_of(2)["talkers"]
    taken_for_two = {"mixture": two.sum(1), "talkers": batch["talkers"]}
    assert UnknownCountSeparation().measure(told(two), taken_for_two)["count_accuracy"].item() == 0


def test_talkers_are_counted_as_at_inference():
    """Who says little is somebody, and one talker taken apart is not two."""
    generator = torch.Generator().manual_seed(0)
    talkers = 0.1 * torch.randn(1, 3, 4 * RATE, generator=generator)
    talkers[:, 1] *= 0.27  # 11 dB below the first while talking, 20 dB below it over the whole mixture
    talkers[:, 1, RATE // 2 :] = 0.0
    talkers[:, 2] = 0.0
    batch = {"mixture": talkers.sum(1), "talkers": talkers}
    assert UnknownCountSeparation().measure(told(talkers), batch)["count_accuracy"].item() == 1
    apart = torch.stack([0.5 * talkers[:, 0], talkers[:, 1], 0.5 * talkers[:, 0]], dim=1)
    assert UnknownCountSeparation().measure(told(apart), batch)["count_accuracy"].item() == 1
