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


Heard = tuple[Tensor, ...]
"""What a selector keeps of the voices of B mixtures, whatever that is."""


class Selector(nn.Module, ABC):
    """Says which of the voices of a mixture the cues mean."""

    def forward(self, voices: Tensor, cues: Sequence[Cue], *, slots: Tensor | None = None) -> Judgement:
        """Judge: `hear`, then `compare`."""
        return self.compare(self.hear(voices, slots), cues)

    def slot_scores(self, prompt: Tensor) -> Tensor | None:
        """What the backbone made of the prompts, (B, K, W) -> (B, S) what that says of each mask, if anything.

        These scores go where the mask's voice goes when voices are put in another order.
        """
        return None

    @abstractmethod
    def hear(self, voices: Tensor, slots: Tensor | None) -> Heard:
        """Take in the voices, once for any number of cues.

        Args:
            voices: (B, S, T) float waveforms of any level.
            slots: (B, S) the `slot_scores` of each voice's mask; None where there are none.
        """

    @abstractmethod
    def compare(self, heard: Heard, cues: Sequence[Cue]) -> Judgement:
        """Say which of the voices is meant.

        Args:
            heard: What `hear` made of them.
            cues: Of the same mixtures: the history (B, K, D), then the enrollment (B, 1, D) if the model takes one.
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
