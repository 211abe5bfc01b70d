"""The tokens of a cue, and which of them are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cue:
    """What a network is told about the wanted talker: K tokens of width D for each of B mixtures.

    K does not depend on the batch, so that padding never changes an output. A missing cue is one whose mask is all
    False; the tokens behind a False mask are zeros.

    Attributes:
        tokens: (B, K, D) float.
        mask: (B, K) bool, True where a token is there.

    >>> cue = Cue.of(torch.ones(2, 3, 4), torch.tensor([[True, True, False], [False, False, False]]))
    >>> cue.present.tolist(), cue.tokens.sum().item()
    ([True, False], 8.0)
    """

    tokens: Tensor
    mask: Tensor

    @classmethod
    def of(cls, tokens: Tensor, mask: Tensor | None = None) -> Cue:
        """Tokens (B, K, D), all there unless `mask` (B, K) says otherwise; those that are not become zeros."""
        if mask is None:
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return cls(tokens * mask.unsqueeze(-1), mask)

    @classmethod
    def missing(cls, batch: int, tokens: int, width: int, device: torch.device | str = "cpu") -> Cue:
        """No cue for any of `batch` mixtures."""
        shape = (batch, tokens)
        return cls(
            torch.zeros(*shape, width, device=device), torch.zeros(shape, dtype=torch.bool, device=device)
        )

    @classmethod
    def join(cls, cues: Sequence[Cue]) -> Cue:
        """Several cues of one width, one after the other along K."""
        return cls(torch.cat([cue.tokens for cue in cues], 1), torch.cat([cue.mask for cue in cues], 1))

    @property
    def present(self) -> Tensor:
        """(B,) bool, whether there is any token."""
        return self.mask.any(1)

    def keep(self, kept: Tensor) -> Cue:
        """Without the cues of the items where `kept` (B,) bool is False."""
        return Cue.of(self.tokens, self.mask & kept.unsqueeze(1))

    def to(self, device: torch.device | str) -> Cue:
        """On another device."""
        return Cue(self.tokens.to(device), self.mask.to(device))
