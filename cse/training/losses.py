"""Losses on waveforms and on choices."""

from __future__ import annotations

import torch
from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr, singlesrc_neg_sisdr
from torch import Tensor
from torch.nn import functional as F


def neg_si_snr(estimates: Tensor, targets: Tensor) -> Tensor:
    """Negative scale-invariant SNR in dB of (B, T) estimates against (B, T) targets -> (B,) float32.

    Finite for silent estimates and silent targets.

    >>> target = torch.sin(torch.arange(8000.0))[None]
    >>> neg_si_snr(7 * target + 0.07 * torch.randn(1, 8000), target).round(decimals=-1).tolist()
    [-40.0]
    """
    result: Tensor = singlesrc_neg_sisdr(estimates.float(), targets)
    return result


def pit_neg_si_snr(estimates: Tensor, talkers: Tensor) -> tuple[Tensor, Tensor]:
    """Negative SI-SNR under the best assignment of estimates to talkers (uPIT, Kolbæk et al., 2017).

    Any number of talkers; asteroid's search is exhaustive up to three and Hungarian beyond.

    Args:
        estimates: (B, S, T) float.
        talkers: (B, S, T) float, the true ones.

    Returns:
        (B,) float32 in dB, a mean over talkers, and (B, S) int: which estimate is assigned to each talker.

    >>> _ = torch.manual_seed(0)
    >>> talkers = torch.randn(1, 2, 8000)
    >>> loss, assigned = pit_neg_si_snr(talkers.flip(1) + 0.1 * torch.randn(1, 2, 8000), talkers)
    >>> round(loss.item()), assigned.tolist()
    (-20, [[1, 0]])
    """
    pairwise = pairwise_neg_sisdr(estimates.float(), talkers)
    loss, assigned = PITLossWrapper.find_best_perm(pairwise)
    return loss, assigned


def level_db(estimates: Tensor, mixtures: Tensor) -> Tensor:
    """Level of (B, T) estimates below (B, T) mixtures in dB, (B,): what to lower where there is no target.

    Not below −30 dB, which is silence enough.

    >>> level_db(torch.zeros(1, 100), torch.ones(1, 100)).tolist()
    [-30.0]
    """
    energy = estimates.float().square().mean(-1) / (mixtures.square().mean(-1) + 1e-8)
    return 10 * (energy + 1e-3).log10()


def selection_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of (B, S + 1) logits, the last one "nobody", with the wanted estimate (B,), −1 for nobody.

    A logit of minus infinity (a model that cannot say "nobody") takes items without target out of the mean.

    >>> selection_loss(torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]), torch.tensor([0, -1])).item() < 0.01
    True
    """
    classes = torch.where(wanted < 0, logits.shape[1] - 1, wanted)
    per_item = F.cross_entropy(logits.float(), classes, reduction="none")
    can = per_item.isfinite()
    return torch.where(can, per_item, 0.0).sum() / can.sum().clamp(min=1)


def contrastive_loss(pairings: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy between voices and histories of a batch, both ways (InfoNCE, van den Oord et al., 2018).

    Every other history of the batch is a shuffled one for a voice, and every other voice a wrong one for a history.

    Args:
        pairings: (B, S, B) log-odds of voice s of mixture b under the history of mixture c.
        wanted: (B,) int, the voice that continues the mixture's own history, −1 where none does.

    Returns:
        Scalar; 0 where fewer than two mixtures have a target.
    """
    there = (wanted >= 0).nonzero().squeeze(1)
    if len(there) < 2:
        return pairings.sum() * 0.0
    voices = pairings.shape[1]
    table = pairings.float().flatten(0, 1)
    right = there * voices + wanted[there]
    by_history = F.cross_entropy(table[:, there].T, right)
    by_voice = F.cross_entropy(table[right][:, there], torch.arange(len(there), device=table.device))
    return (by_history + by_voice) / 2
