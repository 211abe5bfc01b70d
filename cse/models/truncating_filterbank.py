"""The filterbank of the published networks, which leaves the last samples out."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from cse.models.filterbanks import LearnedFilterbank


class TruncatingFilterbank(LearnedFilterbank):
    """As `LearnedFilterbank`, but samples after the last whole frame are not looked at, and come out as zeros.

    Up to `stride` − 1 samples (0.9 ms at 8 kHz) are lost at the end. Only for weights that were trained so: the
    published networks normalise over all frames, so that one more frame changes every sample.

    Args:
        channels: Number of filters N.
        kernel_size: Samples a filter sees.
        stride: Samples between two frames.

    >>> import torch
    >>> bank = TruncatingFilterbank(channels=4, kernel_size=16, stride=8)
    >>> estimate = bank.decode(bank.encode(torch.randn(1, 1003))[:, None], 1003)
    >>> estimate.shape, estimate[..., 1000:].abs().max().item()
    (torch.Size([1, 1, 1003]), 0.0)
    """

    def encode(self, mixture: Tensor) -> Tensor:
        """(B, T) -> (B, N, L), non-negative. Only a mixture shorter than one filter is padded."""
        missing = max(self.kernel_size - mixture.shape[-1], 0)
        return F.relu(self.analysis(F.pad(mixture, (0, missing)).unsqueeze(1)))
