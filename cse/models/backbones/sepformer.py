"""The dual-path transformer of SepFormer."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

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
        checkpoint_gradients: Train in less memory: keep only the transformer layers' inputs for the backward pass and
            compute the rest again there, which takes a third more time.
        fusion: How cues enter before each repeat; None for a backbone without cues.
        cue_width: Width of the cue tokens, D.

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
        checkpoint_gradients: bool = False,
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
                width=width,
                layers=layers,
                heads=heads,
                feed_forward=feed_forward,
                dropout=dropout,
                checkpoint_gradients=checkpoint_gradients,
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

    def masks_and_prompts(
        self, features: Tensor, cue: Cue | None = None, *, masks: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """As `forward`, and what the last repeat made of the prompts: (B, K, W), or None without prompts.

        `masks` computes only so many, the first ones: (B, `masks`, N, L).
        """
        masks = masks or self.talkers
        state = split_chunks(self.entry(features).transpose(1, 2), self.chunk_size)
        heard = None
        for number, repeat in enumerate(self.repeats):
            state = self._modulate(number, state, cue)
            state, heard = repeat(state, self._prompts(number, cue))
        activation, split = self.split_talkers
        assert isinstance(split, nn.Conv2d) and split.bias is not None
        joined = join_chunks(activation(state), features.shape[-1]).transpose(1, 2)
        # Splitting after joining is half the work; every frame comes from two chunks, hence twice the bias.
        outputs = masks * split.in_channels
        talkers = F.conv1d(joined, split.weight[:outputs].squeeze(-1), 2 * split.bias[:outputs])
        talkers = talkers.unflatten(1, (masks, -1)).flatten(0, 1)
        return self.exit(self.content(talkers) * self.gate(talkers)).unflatten(0, (-1, masks)), heard

    def _prompts(self, repeat: int, cue: Cue | None) -> tuple[Tensor, Tensor] | None:
        return None if cue is None or not self.fusions else self.fusions[repeat].prompts(cue)  # type: ignore


class DualPathRepeat(nn.Module):
    """One pass along the frames of every chunk, then one along the chunks at every frame position."""

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        checkpoint_gradients: bool,
    ) -> None:
        super().__init__()
        self.intra, self.inter = (
            TransformerStack(
                width=width,
                layers=layers,
                heads=heads,
                feed_forward=feed_forward,
                dropout=dropout,
                checkpoint_gradients=checkpoint_gradients,
            )
            for _ in range(2)
        )
        self.intra_norm = nn.GroupNorm(1, width, eps=1e-8)
        self.inter_norm = nn.GroupNorm(1, width, eps=1e-8)

    def forward(
        self, state: Tensor, prompts: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(B, chunks, chunk size, W), prompts of both paths (B, K, W) -> the same shape, what became of the second."""
        intra_prompt, inter_prompt = prompts if prompts is not None else (None, None)
        state = state + _normalised(self.intra(state, intra_prompt)[0], self.intra_norm)
        across, heard = self.inter(state.transpose(1, 2), inter_prompt)
        return state + _normalised(across.transpose(1, 2), self.inter_norm), heard


def _normalised(state: Tensor, norm: nn.GroupNorm) -> Tensor:
    """(B, chunks, chunk size, W), each item as a whole; its features stay last in memory."""
    return norm(state.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
