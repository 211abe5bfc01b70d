"""Teaching how far to trust each cue, with cues that are missing or wrong."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cse.models.selectors.trusting import Trust


def trust_loss(
    trust: Trust,
    by_history: Tensor,
    by_enrollment: Tensor,
    told: Tensor,
    enrolled: Tensor,
    *,
    wrong: float,
    missing: float = 0.2,
) -> Tensor:
    """Cross-entropy of the choice among the voices of a mixture, under cues made up from those of the batch.

    The history is always right. The enrollment is right, or, half of the wrong ones each, that of an interferer or of
    another mixture: a stranger's.

    Args:
        trust: What is taught.
        by_history: (B, S, B, S) log-odds that voice s of mixture b continues the history of talker t of mixture c.
        by_enrollment: (B, S, B) log-odds that voice s of mixture b is the one enrolled for mixture c.
        told: (B, S) bool, whether that talker has a history.
        enrolled: (B,) int, the talker that each enrollment is of, −1 where there is none.
        wrong: Share of wrong enrollments.
        missing: Share of mixtures without a history, and again of those without an enrollment.

    Returns:
        Scalar; 0 where fewer than two mixtures have an enrollment.
    """
    mixtures = (enrolled >= 0).nonzero().squeeze(1)
    count, talkers = len(mixtures), by_history.shape[1]
    if count < 2:
        return by_enrollment.sum() * 0.0
    wrongly, drop = torch.rand(2, count, device=enrolled.device)
    of_interferer, of_stranger = wrongly < wrong / 2, (wrongly >= wrong / 2) & (wrongly < wrong)
    wanted = torch.where(of_interferer, _another(enrolled[mixtures], talkers), enrolled[mixtures])
    elsewhere = mixtures[_another(torch.arange(count, device=mixtures.device), count)]
    has_history = (drop >= missing) & told[mixtures, wanted]
    has_enrollment = (drop < missing) | (drop >= 2 * missing)
    scores = trust(
        by_history[mixtures, :, mixtures, wanted] * has_history.unsqueeze(1),
        by_enrollment[mixtures, :, torch.where(of_stranger, elsewhere, mixtures)]
        * has_enrollment.unsqueeze(1),
        has_history,
        has_enrollment,
    )
    solvable = has_history | (has_enrollment & (wrongly >= wrong))
    per_mixture = F.cross_entropy(scores.float(), wanted, reduction="none")
    return (per_mixture * solvable).sum() / solvable.sum().clamp(min=1)


def _another(index: Tensor, count: int) -> Tensor:
    """Any index below `count` but that one."""
    return (index + torch.randint(1, count, index.shape, device=index.device)) % count
