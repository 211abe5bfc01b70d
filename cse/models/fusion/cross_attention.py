"""Attention of the mixture's frames over the tokens of the cue."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cse.models.cues.cue import Cue
from cse.models.fusion.fusion import Fusion


class CrossAttention(Fusion):
    """Every frame looks up, among all cue tokens, what concerns it (Vaswani et al., 2017), and adds it to its state.

    A learned "no cue" token stands beside the others: a frame that no token concerns attends to it, and so do all
    frames where the cue is missing.

    Args:
        width: Features of the state, W.
        cue_width: Width of a cue token, D.
        heads: Attention heads; W is a multiple of it.

    Raises:
        ValueError: If `width` is no multiple of `heads`.

    >>> attention = CrossAttention(width=8, cue_width=3, heads=2)
    >>> attention.modulate(torch.randn(2, 10, 8), Cue.of(torch.randn(2, 5, 3))).shape
    torch.Size([2, 10, 8])
    """

    def __init__(self, *, width: int, cue_width: int, heads: int = 4) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(
                f"got width {width} and {heads} heads, expected a width that is a multiple of the heads"
            )
        self.heads = heads
        self.state_norm = nn.LayerNorm(width)
        self.cue_norm = nn.LayerNorm(cue_width)
        self.no_cue = nn.Parameter(torch.zeros(1, 1, cue_width))
        self.query = nn.Linear(width, width)
        self.key_and_value = nn.Linear(cue_width, 2 * width)
        self.output = nn.Linear(width, width)

    def modulate(self, state: Tensor, cue: Cue) -> Tensor:
        """State (B, …, W) and a cue of width D -> the same shape."""
        batch = len(state)
        frames = state.reshape(batch, -1, state.shape[-1])
        tokens = torch.cat([self.no_cue.expand(batch, -1, -1), self.cue_norm(cue.tokens)], dim=1)
        there = F.pad(cue.mask, (1, 0), value=True)
        key, value = self.key_and_value(tokens).chunk(2, dim=-1)
        looked_up = F.scaled_dot_product_attention(
            self._heads(self.query(self.state_norm(frames))),
            self._heads(key),
            self._heads(value),
            attn_mask=there[:, None, None],
        )
        return state + self.output(looked_up.transpose(1, 2).flatten(2)).view_as(state)

    def _heads(self, sequence: Tensor) -> Tensor:
        """(B, P, W) -> (B, heads, P, W / heads)."""
        return sequence.unflatten(-1, (self.heads, -1)).transpose(1, 2)
