"""Layers that never look ahead: a sequence may come in pieces, and they remember what they need of what was before.

Each is written once, as a step over a piece; the whole sequence is one step from the beginning. So what comes out does
not depend on how the sequence was cut.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State: TypeAlias = Any
"""What a layer remembers: tensors, and tuples of such states. Its layer alone knows what is in it."""


class CausalLayer(nn.Module, ABC):
    """Takes frames (B, C, L) and gives as many, none of which depends on a later one."""

    @abstractmethod
    def begin(self, frames: Tensor) -> State:
        """State before the first frame of sequences of the type, device and batch of `frames`."""

    @abstractmethod
    def step(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """The next L frames, at least one, and the state behind them; the state given is left as it is."""

    def forward(self, frames: Tensor) -> Tensor:
        """A whole sequence (B, C, L)."""
        return self.step(frames, self.begin(frames))[0]


class Framewise(CausalLayer):
    """Layers that look at one frame at a time, and so remember nothing.

    Args:
        layers: From (B, C, L) to (B, C', L).
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def begin(self, frames: Tensor) -> State:
        """Nothing."""
        return ()

    def step(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """See `CausalLayer.step`."""
        return self.layers(frames), state


class CumulativeNorm(CausalLayer):
    """Mean and variance over all features of all frames so far (Luo & Mesgarani, Conv-TasNet, 2019: "cLN").

    The sums are kept in double precision, so that after an hour a frame still counts.

    Args:
        channels: Features a frame, C.

    >>> norm, frames = CumulativeNorm(channels=3), torch.randn(2, 3, 7)
    >>> first, state = norm.step(frames[..., :4], norm.begin(frames))
    >>> bool(torch.equal(torch.cat([first, norm.step(frames[..., 4:], state)[0]], -1), norm(frames)))
    True
    """

    def __init__(self, *, channels: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(channels, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1))

    def begin(self, frames: Tensor) -> State:
        """Sums (B, 2) of the features and their squares, and how many features they are of."""
        return frames.new_zeros(len(frames), 2, dtype=torch.float64), 0

    def step(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """See `CausalLayer.step`."""
        sums, count = state
        exact = frames.float()
        moments = torch.stack([exact.sum(1), exact.square().sum(1)], dim=1).double()
        # from the sums on, and not added to them, so that the order of additions is that of a whole sequence
        moments = torch.cat([sums.unsqueeze(2), moments], dim=2).cumsum(2)[..., 1:]
        channels, length = frames.shape[1:]
        counts = count + channels * torch.arange(1, length + 1, device=frames.device)
        mean, square = (moments / counts).unbind(1)
        scale = (square - mean.square()).clamp(min=0).add(self.eps).rsqrt()
        normed = (exact - mean.float().unsqueeze(1)) * scale.float().unsqueeze(1)
        return (normed * self.gain + self.bias).to(frames.dtype), (
            moments[..., -1],
            count + channels * length,
        )


class CausalConv(CausalLayer):
    """A depthwise convolution over this frame and earlier ones.

    Args:
        channels: Features a frame, C.
        kernel_size: Frames that it looks at.
        dilation: Frames from one of these to the next.

    >>> conv = CausalConv(channels=2, kernel_size=3, dilation=4)
    >>> conv.begin(torch.zeros(1, 2, 5)).shape
    torch.Size([1, 2, 8])
    """

    def __init__(self, *, channels: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.memory = (kernel_size - 1) * dilation
        self.conv = nn.Conv1d(channels, channels, kernel_size, dilation=dilation, groups=channels)

    def begin(self, frames: Tensor) -> State:
        """Silence: (B, C, (kernel_size − 1) · dilation)."""
        return frames.new_zeros(len(frames), self.conv.in_channels, self.memory)

    def step(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """See `CausalLayer.step`."""
        known = torch.cat([state, frames], dim=-1)
        return F.conv1d(
            known, self.conv.weight, self.conv.bias, dilation=self.conv.dilation, groups=self.conv.groups
        ), known[..., known.shape[-1] - self.memory :].clone()  # not a view that keeps all the frames


class CausalChain(CausalLayer):
    """Layers one after the other.

    Args:
        layers: Each takes what the one before gives.
    """

    def __init__(self, layers: Iterable[CausalLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def begin(self, frames: Tensor) -> State:
        """That of every layer."""
        return tuple(cast(CausalLayer, layer).begin(frames) for layer in self.layers)

    def step(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """See `CausalLayer.step`."""
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            frames, one = cast(CausalLayer, layer).step(frames, before)
            after.append(one)
        return frames, tuple(after)


class CausalResidual(CausalChain):
    """Layers whose result is added to what they were given."""

    def step(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """See `CausalLayer.step`."""
        change, after = super().step(frames, state)
        return frames + change, after
