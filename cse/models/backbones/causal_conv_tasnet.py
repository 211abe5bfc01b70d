"""Conv-TasNet that never looks ahead, for sound that is still coming."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from cse.models.backbones.backbone import Backbone
from cse.models.backbones.causal_layers import (
    CausalChain,
    CausalConv,
    CausalLayer,
    CausalResidual,
    CumulativeNorm,
    Framewise,
    State,
)
from cse.models.cues.cue import Cue
from cse.models.fusion.fusion import FusionFactory


class CausalConvTasNet(Backbone):
    """The causal Conv-TasNet: convolutions over the past, cumulative norms (Luo & Mesgarani, IEEE/ACM TASLP 2019).

    A recording may be given whole, or in pieces by `begin` and `step`: the masks are the same.

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
    >>> net = CausalConvTasNet(channels=6, talkers=2, bottleneck=4, hidden=8, blocks=2, repeats=1)
    >>> frames = torch.randn(3, 6, 50)
    >>> first, state = net.step(frames[..., :20], net.begin(frames))
    >>> bool(torch.allclose(first, net(frames)[..., :20], atol=1e-6))
    True
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
        self.entry = CausalChain(
            [CumulativeNorm(channels=channels), Framewise(nn.Conv1d(channels, bottleneck, 1))]
        )
        self.repeats = nn.ModuleList(
            CausalChain(
                _block(bottleneck=bottleneck, hidden=hidden, kernel_size=kernel_size, dilation=2**number)
                for number in range(blocks)
            )
            for _ in range(repeats)
        )
        self.exit = nn.Sequential(nn.PReLU(), nn.Conv1d(bottleneck, talkers * channels, 1))

    def begin(self, features: Tensor) -> State:
        """State before the first frame of sequences of the type, device and batch of `features`."""
        return tuple(layer.begin(features) for layer in self._layers())

    def step(self, features: Tensor, state: State, cue: Cue | None = None) -> tuple[Tensor, State]:
        """The masks of the next frames.

        Args:
            features: (B, N, L) float, at least one frame.
            state: From `begin`, or from the step before; it is left as it is.
            cue: As for `forward`; the same in all steps.

        Returns:
            (B, S, N, L) masks, not yet bounded, and the state behind them.
        """
        entry, *repeats = self._layers()
        frames, first = entry.step(features, state[0])
        after = [first]
        for number, (repeat, before) in enumerate(zip(repeats, state[1:], strict=True)):
            frames = self._modulate(number, frames.transpose(1, 2), cue).transpose(1, 2)
            frames, one = repeat.step(frames, before)
            after.append(one)
        return self.exit(frames).unflatten(1, (self.talkers, self.channels)), tuple(after)

    def forward(self, features: Tensor, cue: Cue | None = None) -> Tensor:
        """Features (B, N, L) float and a cue -> masks (B, S, N, L), not yet bounded (the filterbank does that)."""
        return self.step(features, self.begin(features), cue)[0]

    def _layers(self) -> list[CausalLayer]:
        return [self.entry, *(cast(CausalLayer, repeat) for repeat in self.repeats)]


def _block(*, bottleneck: int, hidden: int, kernel_size: int, dilation: int) -> CausalLayer:
    """One residual block: widen, look back, narrow."""
    return CausalResidual(
        [
            Framewise(nn.Conv1d(bottleneck, hidden, 1), nn.PReLU()),
            CumulativeNorm(channels=hidden),
            CausalConv(channels=hidden, kernel_size=kernel_size, dilation=dilation),
            Framewise(nn.PReLU()),
            CumulativeNorm(channels=hidden),
            Framewise(nn.Conv1d(hidden, bottleneck, 1)),
        ]
    )
