"""Losses on waveforms and on choices."""

from __future__ import annotations

import torch
from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr, singlesrc_neg_sisdr
from torch import Tensor
from torch.nn import functional as F

_TINY = 1e-10  # −100 dB, so that silence has a level


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


def pairwise_neg_snr(
    estimates: Tensor, talkers: Tensor, mixture: Tensor, *, max_snr_db: float, silence_db: float
) -> Tensor:
    """Negative SNR in dB of every estimate for every talker; for one who is not there, the estimate's level.

    Args:
        estimates: (B, S, T) float.
        talkers: (B, S, T) float, at their level in the mixture; all zero for those who are not there.
        mixture: (B, T) float, what the level is relative to.
        max_snr_db: Where the SNR levels off.
        silence_db: Where the level does.

    Returns:
        (B, S, S) float32 of estimate i and talker j.

    >>> talkers = torch.stack([torch.ones(100), torch.zeros(100)])[None]
    >>> estimates = torch.stack([torch.zeros(100), 0.9 * torch.ones(100)])[None]
    >>> pairwise_neg_snr(estimates, talkers, talkers.sum(1), max_snr_db=30, silence_db=-25).round().tolist()
    [[[0.0, -25.0], [-20.0, -1.0]]]
    """
    energy = talkers.square().mean(-1)
    missed = (estimates.unsqueeze(2) - talkers.unsqueeze(1)).square().mean(-1)
    power = mixture.square().mean(-1)[:, None, None] + _TINY
    there = (energy > 0).unsqueeze(1)
    reference = torch.where(there, energy.unsqueeze(1), power)
    floor = torch.where(there, 10 ** (-max_snr_db / 10), 10 ** (silence_db / 10))
    return 10 * (missed / (reference + _TINY) + floor).log10()


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


def contrastive_loss(scores: Tensor, right: Tensor) -> Tensor:
    """Cross-entropy between voices and cues of a batch, both ways (InfoNCE, van den Oord et al., 2018).

    Every other cue of the batch is a shuffled one for a voice, and every other voice a wrong one for a cue.

    Args:
        scores: (N, M) log-odds of voice n under cue m.
        right: (M,) int, the voice that each cue belongs to, −1 where it belongs to none or is missing.

    Returns:
        Scalar; 0 where fewer than two cues have a voice.

    >>> round(contrastive_loss(torch.zeros(4, 2), torch.tensor([3, 0])).item(), 4)  # the mean of log 4 and log 2
    1.0397
    """
    there = (right >= 0).nonzero().squeeze(1)
    if len(there) < 2:
        return scores.sum() * 0.0
    scores, right = scores.float()[:, there], right[there]
    by_cue = F.cross_entropy(scores.T, right)
    by_voice = F.cross_entropy(scores[right], torch.arange(len(there), device=scores.device))
    return (by_cue + by_voice) / 2
