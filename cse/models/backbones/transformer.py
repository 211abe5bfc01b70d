"""Pre-norm transformer layers with fused attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TransformerStack(nn.Module):
    """Sinusoidal positions, then pre-norm layers, then a last layer norm: one path of SepFormer's dual path.

    Args:
        width: Features of a position, W.
        layers: Number of layers.
        heads: Attention heads.
        feed_forward: Hidden units of the feed-forward layers.
        dropout: In attention and feed-forward layers.

    >>> TransformerStack(width=8, layers=2, heads=2, feed_forward=16)(torch.randn(3, 10, 8)).shape
    torch.Size([3, 10, 8])
    """

    def __init__(self, *, width: int, layers: int, heads: int, feed_forward: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TransformerLayer(width=width, heads=heads, feed_forward=feed_forward, dropout=dropout)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, sequences: Tensor) -> Tensor:
        """(sequences, positions, W) -> the same shape."""
        sequences = sequences + sinusoids(sequences.shape[1], sequences.shape[2]).to(sequences)
        for layer in self.layers:
            sequences = layer(sequences)
        return self.norm(sequences)


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward network, each normalised before and with a skip around it."""

    def __init__(self, *, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, feed_forward)
        self.contract = nn.Linear(feed_forward, width)
        nn.init.xavier_uniform_(self.query_key_value.weight)
        for linear in (self.query_key_value, self.attention_output):
            nn.init.zeros_(linear.bias)

    def forward(self, sequences: Tensor) -> Tensor:
        """(sequences, positions, W) -> the same shape."""
        sequences = sequences + self._drop(self._attend(self.attention_norm(sequences)))
        hidden = self._drop(F.relu(self.expand(self.feed_forward_norm(sequences))))
        return sequences + self._drop(self.contract(hidden))

    def _attend(self, sequences: Tensor) -> Tensor:
        query, key, value = (
            self.query_key_value(sequences).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        )
        attended = F.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0
        )
        return self.attention_output(attended.transpose(1, 2).flatten(2))

    def _drop(self, hidden: Tensor) -> Tensor:
        return F.dropout(hidden, self.dropout, self.training)


def sinusoids(positions: int, width: int) -> Tensor:
    """Position codes (1, `positions`, `width`) float: sines in even features, cosines in odd (Vaswani et al., 2017).

    >>> sinusoids(3, 2)[0, :, 0].tolist() == torch.arange(3.0).sin().tolist()
    True
    """
    angles = torch.arange(positions).unsqueeze(1) * torch.exp(
        torch.arange(0, width, 2) * (-math.log(10000.0) / width)
    )
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).unsqueeze(0)
