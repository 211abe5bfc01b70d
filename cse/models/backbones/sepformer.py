"""The dual-path transformer of SepFormer."""

from __future__ import annotations

from speechbrain.lobes.models.dual_path import SBTransformerBlock
from torch import Tensor, nn

from cse.models.backbones.backbone import Backbone
from cse.models.backbones.chunks import join_chunks, split_chunks


class SepFormer(Backbone):
    """Transformers within chunks of frames and across them (Subakan et al., SepFormer, ICASSP 2021).

    SpeechBrain's transformer blocks, in a loop over the repeats.

    Args:
        channels: Features a frame, N, in and out.
        talkers: Number of masks S.
        width: Model width of the transformers.
        layers: Transformer layers of each path.
        repeats: Dual-path repeats R.
        heads: Attention heads.
        feed_forward: Hidden units of the feed-forward layers.
        chunk_size: Frames of a chunk (even); neighbours overlap by half.
        dropout: In attention and feed-forward layers.

    >>> import torch
    >>> net = SepFormer(channels=6, talkers=2, width=8, layers=1, repeats=1, heads=2, feed_forward=16, chunk_size=10)
    >>> net(torch.randn(3, 6, 50)).shape
    torch.Size([3, 2, 6, 50])
    """

    def __init__(
        self,
        *,
        channels: int,
        talkers: int,
        width: int = 256,
        layers: int = 8,
        repeats: int = 2,
        heads: int = 8,
        feed_forward: int = 1024,
        chunk_size: int = 250,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.talkers = talkers
        self.chunk_size = chunk_size
        self.entry = nn.Sequential(
            nn.GroupNorm(1, channels, eps=1e-8), nn.Conv1d(channels, width, 1, bias=False)
        )
        self.repeats = nn.ModuleList(
            DualPathRepeat(
                width=width, layers=layers, heads=heads, feed_forward=feed_forward, dropout=dropout
            )
            for _ in range(repeats)
        )
        self.split_talkers = nn.Sequential(nn.PReLU(), nn.Conv2d(width, width * talkers, 1))
        self.content = nn.Sequential(nn.Conv1d(width, width, 1), nn.Tanh())
        self.gate = nn.Sequential(nn.Conv1d(width, width, 1), nn.Sigmoid())
        self.exit = nn.Conv1d(width, channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, N, L) float -> masks (B, S, N, L), not yet bounded (the filterbank does that)."""
        frames = features.shape[-1]
        chunks = split_chunks(self.entry(features), self.chunk_size)
        for repeat in self.repeats:
            chunks = repeat(chunks)
        chunks = self.split_talkers(chunks).unflatten(1, (self.talkers, -1)).flatten(0, 1)
        states = join_chunks(chunks, frames)
        masks = self.exit(self.content(states) * self.gate(states))
        return masks.unflatten(0, (-1, self.talkers))


class DualPathRepeat(nn.Module):
    """One pass along the frames of every chunk, then one along the chunks at every frame position."""

    def __init__(self, *, width: int, layers: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.intra, self.inter = (
            SBTransformerBlock(
                num_layers=layers,
                d_model=width,
                nhead=heads,
                d_ffn=feed_forward,
                dropout=dropout,
                use_positional_encoding=True,
                norm_before=True,
            )
            for _ in range(2)
        )
        self.intra_norm = nn.GroupNorm(1, width, eps=1e-8)
        self.inter_norm = nn.GroupNorm(1, width, eps=1e-8)

    def forward(self, chunks: Tensor) -> Tensor:
        """(B, width, chunk size, chunks) -> the same shape."""
        batch, _, size, count = chunks.shape
        within = self.intra(chunks.permute(0, 3, 2, 1).flatten(0, 1)).unflatten(0, (batch, count))
        chunks = chunks + self.intra_norm(within.permute(0, 3, 2, 1))
        across = self.inter(chunks.permute(0, 2, 3, 1).flatten(0, 1)).unflatten(0, (batch, size))
        return chunks + self.inter_norm(across.permute(0, 3, 1, 2))
