"""The temporal convolutional network of Conv-TasNet."""

from __future__ import annotations

from asteroid.masknn.convolutional import Conv1DBlock
from asteroid.masknn.norms import GlobLN
from torch import Tensor, nn

from cse.models.backbones.backbone import Backbone
from cse.models.cues.cue import Cue
from cse.models.fusion.fusion import FusionFactory


class ConvTasNet(Backbone):
    """Stacks of dilated depthwise-separable convolutions (Luo & Mesgarani, Conv-TasNet, IEEE/ACM TASLP 2019).

    Asteroid's blocks, in a loop over the repeats. Masks are read off the residual path, so that every layer
    gets a gradient.

    Args:
        channels: Features a frame, N, in and out.
        talkers: Number of masks S.
        bottleneck: Channels between the blocks.
        hidden: Channels inside a block's depthwise convolution.
        blocks: Blocks a repeat; dilations 1, 2, 4, …, 2^(blocks − 1).
        repeats: Number of repeats R.
        kernel_size: Frames of a depthwise convolution.
        fusion: How cues enter before each repeat; None for a backbone without cues.
        cue_width: Width of the cue tokens, D.

    >>> import torch
    >>> net = ConvTasNet(channels=6, talkers=2, bottleneck=4, hidden=8, blocks=2, repeats=1)
    >>> net(torch.randn(3, 6, 50)).shape
    torch.Size([3, 2, 6, 50])
    """

    def __init__(
        self,
        *,
        channels: int,
        talkers: int,
        bottleneck: int = 128,
        hidden: int = 512,
        blocks: int = 8,
        repeats: int = 3,
        kernel_size: int = 3,
        fusion: FusionFactory | None = None,
        cue_width: int | None = None,
    ) -> None:
        super().__init__(
            channels=channels,
            talkers=talkers,
            state_width=bottleneck,
            repeats=repeats,
            fusion=fusion,
            cue_width=cue_width,
        )
        self.entry = nn.Sequential(GlobLN(channels), nn.Conv1d(channels, bottleneck, 1))
        self.repeats = nn.ModuleList(
            ConvTasNetRepeat(bottleneck=bottleneck, hidden=hidden, blocks=blocks, kernel_size=kernel_size)
            for _ in range(repeats)
        )
        self.exit = nn.Sequential(nn.PReLU(), nn.Conv1d(bottleneck, talkers * channels, 1))

    def forward(self, features: Tensor, cue: Cue | None = None) -> Tensor:
        """Features (B, N, L) float and a cue -> masks (B, S, N, L), not yet bounded (the filterbank does that)."""
        state = self.entry(features)
        for number, repeat in enumerate(self.repeats):
            state = repeat(self._modulate(number, state.transpose(1, 2), cue).transpose(1, 2))
        return self.exit(state).unflatten(1, (self.talkers, self.channels))


class ConvTasNetRepeat(nn.Module):
    """Residual blocks whose dilation doubles from one to the next."""

    def __init__(self, *, bottleneck: int, hidden: int, blocks: int, kernel_size: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Conv1DBlock(bottleneck, hidden, 0, kernel_size, (kernel_size - 1) * 2**b // 2, 2**b)
            for b in range(blocks)
        )

    def forward(self, state: Tensor) -> Tensor:
        """(B, bottleneck, L) -> the same shape."""
        for block in self.blocks:
            state = state + block(state)
        return state
