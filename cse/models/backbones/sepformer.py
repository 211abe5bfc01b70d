"""The dual-path transformer of SepFormer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cse.models.backbones.backbone import Backbone
from cse.models.backbones.chunks import join_chunks, split_chunks
from cse.models.backbones.transformer import TransformerStack
from cse.models.cues.cue import Cue
from cse.models.fusion.fusion import FusionFactory


class SepFormer(Backbone):
    """Transformers within chunks of frames and across them (Subakan et al., SepFormer, ICASSP 2021).

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
        fusion: How cues enter before each repeat; None for a backbone without cues.
        cue_width: Width of the cue tokens, D.

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
        fusion: FusionFactory | None = None,
        cue_width: int | None = None,
    ) -> None:
        super().__init__(
            channels=channels,
            talkers=talkers,
            state_width=width,
            repeats=repeats,
            fusion=fusion,
            cue_width=cue_width,
            attends=True,
        )
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

    def forward(self, features: Tensor, cue: Cue | None = None) -> Tensor:
        """Features (B, N, L) float and a cue -> masks (B, S, N, L), not yet bounded (the filterbank does that)."""
        return self.masks_and_prompts(features, cue)[0]

    def masks_and_prompts(self, features: Tensor, cue: Cue | None = None) -> tuple[Tensor, Tensor | None]:
        """As `forward`, and what the last repeat made of the prompts: (B, K, W), or None without prompts."""
        frames = features.shape[-1]
        chunks = split_chunks(self.entry(features), self.chunk_size)
        heard = None
        for number, repeat in enumerate(self.repeats):
            chunks = self._modulate(number, chunks.permute(0, 3, 2, 1), cue).permute(0, 3, 2, 1)
            chunks, heard = repeat(chunks, self._prompts(number, cue))
        chunks = self.split_talkers(chunks).unflatten(1, (self.talkers, -1)).flatten(0, 1)
        states = join_chunks(chunks, frames)
        masks = self.exit(self.content(states) * self.gate(states))
        return masks.unflatten(0, (-1, self.talkers)), heard

    def _prompts(self, repeat: int, cue: Cue | None) -> tuple[Tensor, Tensor] | None:
        return None if cue is None or not self.fusions else self.fusions[repeat].prompts(cue)  # type: ignore


class DualPathRepeat(nn.Module):
    """One pass along the frames of every chunk, then one along the chunks at every frame position."""

    def __init__(self, *, width: int, layers: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.intra, self.inter = (
            TransformerStack(
                width=width, layers=layers, heads=heads, feed_forward=feed_forward, dropout=dropout
            )
            for _ in range(2)
        )
        self.intra_norm = nn.GroupNorm(1, width, eps=1e-8)
        self.inter_norm = nn.GroupNorm(1, width, eps=1e-8)

    def forward(
        self, chunks: Tensor, prompts: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(B, W, chunk size, chunks), prompts of both paths (B, K, W) -> the same shape, what became of the second."""
        intra_prompt, inter_prompt = prompts if prompts is not None else (None, None)
        within, _ = self._path(self.intra, chunks.permute(0, 3, 2, 1), intra_prompt)
        chunks = chunks + self.intra_norm(within.permute(0, 3, 2, 1))
        across, heard = self._path(self.inter, chunks.permute(0, 2, 3, 1), inter_prompt)
        return chunks + self.inter_norm(across.permute(0, 3, 1, 2)), heard

    def _path(
        self, stack: TransformerStack, sequences: Tensor, prompt: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """(B, sequences, positions, W) -> the same shape, and the prompt's positions (B, K, W), a mean over sequences."""
        batch, count = sequences.shape[:2]
        if prompt is None:
            return stack(sequences.flatten(0, 1)).unflatten(0, (batch, count)), None
        prompt = prompt.unsqueeze(1).expand(-1, count, -1, -1)
        passed = stack(torch.cat([prompt, sequences], dim=2).flatten(0, 1)).unflatten(0, (batch, count))
        tokens = prompt.shape[2]
        return passed[:, :, tokens:], passed[:, :, :tokens].mean(1)
