"""Attention between whole frames: who spoke like this before, anywhere in the recording?"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

_QUERY_FEATURES = 256  # of all bands together; enough to tell frames apart


class FrameAttention(nn.Module):
    """Lets every frame look at all others, compared over all bands at once (Wang et al., TF-GridNet, 2023).

    A recurrent network passes a voice on from frame to frame; this finds it again after a pause. It costs little, since
    each band brings only a few features to the comparison.

    Args:
        width: Features a band, W.
        bands: Number of bands.
        heads: Number of heads; W is a multiple of it.

    >>> import torch
    >>> FrameAttention(width=8, bands=5, heads=2)(torch.randn(3, 5, 50, 8)).shape
    torch.Size([3, 5, 50, 8])
    """

    def __init__(self, *, width: int, bands: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"got width {width} for {heads} heads, expected a multiple; change either")
        self.heads = heads
        self.query_size = -(-_QUERY_FEATURES // bands)
        self.sizes = [heads * self.query_size, heads * self.query_size, width]
        self.norm = nn.LayerNorm(width)
        self.entry = nn.Linear(width, sum(self.sizes))
        self.query_norm = nn.LayerNorm([bands, self.query_size])
        self.key_norm = nn.LayerNorm([bands, self.query_size])
        self.exit = nn.Linear(width, width)

    def forward(self, state: Tensor) -> Tensor:
        """(B, bands, L, W) -> the same shape, the input added."""
        query, key, value = (
            self._by_head(part) for part in self.entry(self.norm(state)).split(self.sizes, dim=-1)
        )
        query, key = self.query_norm(query), self.key_norm(key)
        found = F.scaled_dot_product_attention(query.flatten(3), key.flatten(3), value.flatten(3))
        found = found.unflatten(3, value.shape[3:])  # (B, heads, L, bands, W / heads)
        return state + self.exit(found.permute(0, 3, 2, 1, 4).flatten(3))

    def _by_head(self, features: Tensor) -> Tensor:
        """(B, bands, L, F) -> (B, heads, L, bands, F / heads)."""
        return features.unflatten(3, (self.heads, -1)).permute(0, 3, 2, 1, 4)
