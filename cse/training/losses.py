"""Losses of separation."""

from __future__ import annotations

from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr
from torch import Tensor, nn


class PITNegativeSISNR(nn.Module):
    """Negative scale-invariant SNR under the best assignment of estimates to talkers (uPIT, Kolbæk et al., 2017).

    Any number of talkers; asteroid's search is exhaustive up to three and Hungarian beyond.

    Args:
        max_si_snr_db: A mixture separated better than this no longer pulls at the weights.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> talkers = torch.randn(1, 2, 8000)
    >>> loss = PITNegativeSISNR()
    >>> round(loss(talkers.flip(1) + 0.1 * torch.randn(1, 2, 8000), talkers).item())
    -20
    """

    def __init__(self, *, max_si_snr_db: float = 30.0) -> None:
        super().__init__()
        self.max_si_snr_db = max_si_snr_db

    def forward(self, estimates: Tensor, talkers: Tensor) -> Tensor:
        """(B, S, T) estimates and true talkers, float -> scalar loss in dB, averaged over the batch."""
        pairwise = pairwise_neg_sisdr(estimates.float(), talkers)
        per_mixture, _ = PITLossWrapper.find_best_perm(pairwise)
        return per_mixture.clamp(min=-self.max_si_snr_db).mean()
