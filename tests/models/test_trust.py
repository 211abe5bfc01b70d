"""Trust in two cues, learned from trainings in which the enrollment is sometimes that of somebody else."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from cse.models.cues.cue import Cue
from cse.models.selectors.trusting import Trust, TrustingSelector
from cse.training.objectives.trust import trust_loss

WRONG_ENROLLMENTS = 0.5


class Told(nn.Module):
    """A listener that says what it was told: log-odds (B, S), nothing where the cue is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.log_odds = torch.zeros(0, 0)

    def hear(self, voices: Tensor) -> Tensor:
        return voices

    def pair(self, heard: Tensor, cue: Cue) -> Tensor:
        pairings = torch.diag_embed(self.log_odds.T).permute(1, 0, 2)
        return pairings * cue.present.to(pairings.dtype)


@dataclass
class Situation:
    """What both listeners say about S voices, and who is meant."""

    by_text: Tensor
    by_voice: Tensor
    has_text: Tensor
    has_voice: Tensor
    target: Tensor

    def logits(self, selector: TrustingSelector) -> Tensor:
        selector.listener.log_odds = self.by_text
        selector.voice_listener.log_odds = self.by_voice
        cues = [
            Cue.of(torch.ones(len(there), 1, 4), there.unsqueeze(1))
            for there in (self.has_text, self.has_voice)
        ]
        return selector(torch.zeros(*self.by_text.shape, 8), cues).logits

    def accuracy(self, selector: TrustingSelector) -> float:
        with torch.no_grad():
            return (self.logits(selector)[:, :-1].argmax(1) == self.target).float().mean().item()


def situation(
    count: int,
    talkers: int,
    *,
    wrong: float = 0.0,
    has_text: float = 1.0,
    has_voice: float = 1.0,
) -> Situation:
    """Voices point at the enrolled talker more surely than words at the right one; a wrong one is an interferer's or,
    as often, a stranger's, who sounds like nobody in the mixture.

    Args:
        wrong: Share of wrong enrollments.
        has_text: Share of mixtures with a history.
        has_voice: Share of mixtures with an enrollment, among those with a history; the others have one.
    """
    target = torch.randint(talkers, (count,))
    own = torch.nn.functional.one_hot(target, talkers).float()
    reads = torch.rand(count) < has_text
    hears = (torch.rand(count) < has_voice) | ~reads
    by_text = torch.randn(count, talkers) - 1.5 + 3 * own
    is_wrong = (torch.rand(count) < wrong) & reads & hears
    interferer = (target + torch.randint(1, talkers, (count,))) % talkers
    enrolled = torch.nn.functional.one_hot(torch.where(is_wrong, interferer, target), talkers).float()
    stranger = is_wrong & (torch.rand(count) < 0.5)
    by_voice = torch.randn(count, talkers) - 4 + 8 * enrolled * (~stranger).float().unsqueeze(1)
    return Situation(
        by_text * reads.unsqueeze(1), by_voice * hears.unsqueeze(1), reads, hears, target
    )  # what a listener says of a missing cue is 0


def untrained() -> TrustingSelector:
    return TrustingSelector(listener=Told(), voice_listener=Told())  # type: ignore[arg-type]


def selector_of(talkers: int, *, wrong: float) -> TrustingSelector:
    """Trained with a share of wrong enrollments, on what listeners like those of `situation` say."""
    torch.manual_seed(0)
    selector = untrained()
    optimizer = torch.optim.Adam(selector.parameters(), lr=0.01)
    count, eye = 32, torch.eye
    for _ in range(400):
        enrolled = torch.randint(talkers, (count,))
        same_mixture = eye(count).view(count, 1, count, 1)
        by_history = torch.randn(count, talkers, count, talkers) - 1.5
        by_history += 3 * same_mixture * eye(talkers).view(1, talkers, 1, talkers)
        own_voice = nn.functional.one_hot(enrolled, talkers).float()
        by_enrollment = torch.randn(count, talkers, count) - 4
        by_enrollment += 8 * same_mixture.squeeze(-1) * own_voice.unsqueeze(-1)
        told = torch.rand(count, talkers) < 0.9
        loss = trust_loss(selector.trust, by_history, by_enrollment, told, enrolled, wrong=wrong)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return selector


@pytest.fixture(scope="module", params=[2, 3])
def trained(request) -> tuple[TrustingSelector, int]:
    return selector_of(request.param, wrong=WRONG_ENROLLMENTS), request.param


def test_a_wrong_enrollment_does_not_beat_a_right_history(trained):
    selector, talkers = trained
    swapped = situation(2000, talkers, wrong=1.0)
    history_alone = situation(2000, talkers, has_voice=0.0).accuracy(selector)
    assert swapped.accuracy(selector) > history_alone - 0.08
    # before training both cues count alike, and the surer one wins: the enrollment
    assert swapped.accuracy(untrained()) < 0.6


def test_an_enrollment_alone_still_decides(trained):
    selector, talkers = trained
    assert situation(2000, talkers, has_text=0.0).accuracy(selector) > 0.98


def test_a_history_alone_still_decides(trained):
    selector, talkers = trained
    alone = situation(2000, talkers, has_voice=0.0)
    assert alone.accuracy(selector) == (alone.by_text.argmax(1) == alone.target).float().mean().item()


def test_right_cues_together_are_better_than_either(trained):
    selector, talkers = trained
    both = situation(2000, talkers).accuracy(selector)
    assert both > situation(2000, talkers, has_voice=0.0).accuracy(selector)
    assert both > 0.97


def test_without_wrong_enrollments_in_training_the_enrollment_is_believed():
    """That the trust is learned from them, and is in nothing else."""
    swapped = situation(2000, 2, wrong=1.0)
    assert swapped.accuracy(selector_of(2, wrong=0.0)) < 0.6


def test_the_order_of_the_voices_makes_no_difference(trained):
    selector, talkers = trained
    some = situation(50, talkers, wrong=0.5)
    order = torch.randperm(talkers)
    moved = Situation(
        some.by_text[:, order], some.by_voice[:, order], some.has_text, some.has_voice, some.target
    )
    assert torch.allclose(moved.logits(selector)[:, :-1], some.logits(selector)[:, :-1][:, order], atol=1e-5)


def test_an_untrained_trust_adds_both_up():
    some = situation(50, 2)
    added = Trust()(some.by_text, some.by_voice, some.has_text, some.has_voice)
    assert (added.argmax(1) == (some.by_text + some.by_voice).argmax(1)).all()


def test_without_a_second_enrollment_there_is_nothing_to_learn():
    told, enrolled = torch.ones(3, 2, dtype=torch.bool), torch.tensor([0, -1, -1])
    pairings = torch.randn(3, 2, 3, 2, requires_grad=True), torch.randn(3, 2, 3, requires_grad=True)
    loss = trust_loss(Trust(), *pairings, told, enrolled, wrong=0.5)
    loss.backward()
    assert loss.item() == 0.0
