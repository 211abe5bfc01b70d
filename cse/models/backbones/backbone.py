"""What all backbones have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Backbone(nn.Module, ABC):
    """Looks at the features of a mixture and says which parts belong to whom.

    Attributes:
        channels: Features a frame, N, in and out.
        talkers: Number of masks S.
    """

    channels: int
    talkers: int

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Features (B, N, L) float -> masks (B, S, N, L), not yet bounded (the filterbank does that)."""
