"""What all selectors have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cse.models.cues.cue import Cue


@dataclass(frozen=True)
class Judgement:
    """What a selector thinks of S voices.

    Attributes:
        logits: (B, S + 1) float: log-odds, up to a common constant, of each voice being meant, and at last of nobody
            being meant (minus infinity where the selector cannot tell).
        pairings: (B, S, B) float: log-odds that voice s of mixture b continues the history of mixture c, for
            contrastive losses; None where the selector does not compare.
    """

    logits: Tensor
    pairings: Tensor | None = None


class Selector(nn.Module, ABC):
    """Says which of the voices of a mixture the cues mean."""

    @abstractmethod
    def forward(self, voices: Tensor, cues: Sequence[Cue], *, prompt: Tensor | None) -> Judgement:
        """Judge.

        Args:
            voices: (B, S, T) float waveforms of any level.
            cues: Of the same mixtures: the history (B, K, D), then the enrollment (B, 1, D) if the model takes one.
            prompt: (B, K, W) what the backbone made of prompt tokens; None where it has none.
        """


def against_nobody(scores: Tensor) -> Tensor:
    """Log-odds (B, S) against nobody -> logits (B, S + 1), the last one that of nobody.

    >>> against_nobody(torch.tensor([[1.0, -1.0]])).tolist()
    [[1.0, -1.0, 0.0]]
    """
    return torch.cat([scores, scores.new_zeros(len(scores), 1)], dim=1)


def own(pairings: Tensor) -> Tensor:
    """Pairings (B, S, B) -> (B, S): the voices of each mixture with its own cue."""
    return pairings.diagonal(dim1=0, dim2=2).T
