"""What all listeners have in common: two towers, one for sound and one for the cue, and their cosine."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cse.models.cues.cue import Cue


class Listener(nn.Module, ABC):
    """Compares what an estimate sounds like with what a cue says.

    Every estimate is heard with the same weights, so that its score does not depend on the order of the estimates.
    The score is a cosine with a learned scale and offset: log-odds that it fits.

    Args:
        cue_width: Width of a cue token, D.
        embedding_size: Of the space in which both meet, E.
    """

    def __init__(self, *, cue_width: int, embedding_size: int) -> None:
        super().__init__()
        self.told = nn.Linear(cue_width, embedding_size)
        self.log_scale = nn.Parameter(torch.tensor(2.3))
        self.offset = nn.Parameter(torch.tensor(-3.0))

    @abstractmethod
    def hear(self, estimates: Tensor) -> Tensor:
        """(B, S, T) float waveforms of any level -> (B, S, E) of length 1."""

    def read(self, cue: Cue) -> Tensor:
        """Cue tokens (B, K, D) -> (B, E) of length 1."""
        return F.normalize(self.told(F.normalize(self.summary(cue), dim=-1)), dim=-1)

    def summary(self, cue: Cue) -> Tensor:
        """Cue tokens (B, K, D) -> (B, D): their mean."""
        return cue.tokens.sum(1) / cue.mask.sum(1, keepdim=True).clamp(min=1)

    def compare(self, heard: Tensor, told: Tensor) -> Tensor:
        """(B, S, E) and (C, E) -> (B, S, C) log-odds that an estimate fits a cue, each with each."""
        return self.log_scale.exp() * (heard @ told.T) + self.offset

    def forward(self, estimates: Tensor, cue: Cue) -> Tensor:
        """Compare each with each.

        Args:
            estimates: (B, S, T) float waveforms of any level.
            cue: Of the same B mixtures.

        Returns:
            (B, S, B) log-odds that estimate s of mixture b fits the cue of mixture c; 0 where that cue is missing.
        """
        return self.pair(self.hear(estimates), cue)

    def pair(self, heard: Tensor, cue: Cue) -> Tensor:
        """As `forward`, of estimates that were heard already, (B, S, E)."""
        scores = self.compare(heard, self.read(cue))
        return scores * cue.present.to(scores.dtype)
