"""Pre-norm transformer layers over many sequences, with fused attention and slices that stay in the cache."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

SLICE_POSITIONS = 1024
"""Positions that run through all layers at once in inference on a CPU: a few megabytes, so they stay in its cache."""


class TransformerStack(nn.Module):
    """Sinusoidal positions, then pre-norm layers, then a last layer norm: one path of SepFormer's dual path.

    Args:
        width: Features of a position, W.
        layers: Number of layers.
        heads: Attention heads.
        feed_forward: Hidden units of the feed-forward layers.
        dropout: In attention and feed-forward layers.
        checkpoint_gradients: Keep only the layers' inputs for the backward pass, and compute the rest again there.

    >>> stack = TransformerStack(width=8, layers=2, heads=2, feed_forward=16)
    >>> passed, heard = stack(torch.randn(3, 5, 10, 8), prompt=torch.randn(3, 1, 8))
    >>> passed.shape, heard.shape
    (torch.Size([3, 5, 10, 8]), torch.Size([3, 1, 8]))
    """

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        dropout: float = 0.0,
        checkpoint_gradients: bool = False,
    ) -> None:
        super().__init__()
        self.checkpoint_gradients = checkpoint_gradients
        self.layers = nn.ModuleList(
            TransformerLayer(width=width, heads=heads, feed_forward=feed_forward, dropout=dropout)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, sequences: Tensor, prompt: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Run every sequence through the layers, on its own.

        Args:
            sequences: (B, sequences, positions, W) float, in any memory layout.
            prompt: (B, K, W), put in front of every sequence of its item; None for none.

        Returns:
            The same shape and layout, and what became of the prompt: (B, K, W), a mean over the sequences; or None.
        """
        batch, count, _, width = sequences.shape
        tokens = 0 if prompt is None else prompt.shape[1]
        codes = sinusoids(tokens + _count(sequences[0, 0, :, 0]), width).to(sequences)
        if not _slices_pay(sequences):
            passed = self._pass(sequences, prompt, codes)
            return passed[:, :, tokens:], passed[:, :, :tokens].mean(1) if tokens else None
        result = torch.empty_like(sequences)
        heard = sequences.new_zeros(batch, tokens, width)
        size = max(1, SLICE_POSITIONS // (batch * len(codes)))
        for into, part in zip(result.split(size, dim=1), sequences.split(size, dim=1), strict=True):
            passed = self._pass(part, prompt, codes)
            into.copy_(passed[:, :, tokens:])
            heard += passed[:, :, :tokens].sum(1)
        return result, heard / count if tokens else None

    def _pass(self, sequences: Tensor, prompt: Tensor | None, codes: Tensor) -> Tensor:
        """All layers over (B, sequences, positions, W), with the prompt (B, K, W) in front."""
        batch = sequences.shape[0]
        if prompt is not None:
            everywhere = prompt.unsqueeze(1).expand(-1, _count(sequences[0, :, 0, 0]), -1, -1)
            sequences = torch.cat([everywhere, sequences], dim=2)
        hidden = (sequences + codes).flatten(0, 1)
        for layer in self.layers:
            if self.checkpoint_gradients and torch.is_grad_enabled():
                hidden = checkpoint(layer, hidden, use_reentrant=False)
            else:
                hidden = layer(hidden)
        return self.norm(hidden).unflatten(0, (batch, -1))


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
        hidden = F.relu(project(self.feed_forward_norm(sequences), self.expand))
        return sequences + self._drop(project(self._drop(hidden), self.contract))

    def _attend(self, sequences: Tensor) -> Tensor:
        query, key, value = (
            project(sequences, self.query_key_value).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        )
        attended = F.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0
        )
        return project(attended.transpose(1, 2).flatten(2), self.attention_output)

    def _drop(self, hidden: Tensor) -> Tensor:
        return F.dropout(hidden, self.dropout, self.training)


def project(sequences: Tensor, linear: nn.Linear) -> Tensor:
    """`linear` at every position of (sequences, positions, features).

    In float32 on a CPU as a 1 × 1 convolution, because PyTorch gives that to oneDNN and a linear layer to MKL, which
    takes twice as long on processors of another make than its own.

    >>> linear, x = nn.Linear(4, 3), torch.randn(2, 5, 4)
    >>> bool(torch.allclose(project(x, linear), linear(x), atol=1e-6))
    True
    """
    if not _convolution_is_faster(sequences):
        return linear(sequences)
    pictures = sequences.unsqueeze(2).permute(0, 3, 1, 2)  # one pixel wide, features last in memory
    return F.conv2d(pictures, linear.weight[..., None, None], linear.bias).permute(0, 2, 3, 1).squeeze(2)


def sinusoids(positions: int, width: int) -> Tensor:
    """Position codes (`positions`, `width`) float: sines in even features, cosines in odd (Vaswani et al., 2017).

    >>> sinusoids(3, 2)[:, 0].tolist() == torch.arange(3.0).sin().tolist()
    True
    """
    angles = torch.arange(positions).unsqueeze(1) * torch.exp(
        torch.arange(0, width, 2) * (-math.log(10000.0) / width)
    )
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _count(vector: Tensor) -> int:
    """How many numbers there are; a graph that is traced counts anew each time, where a shape may become a constant."""
    return (vector == vector).sum() if torch.jit.is_tracing() else vector.shape[0]  # type: ignore[return-value]


def _slices_pay(sequences: Tensor) -> bool:
    """Only where a cache is small and nothing is kept for a backward pass; a graph that is traced has no loop in it."""
    return sequences.device.type == "cpu" and not torch.is_grad_enabled() and not _is_traced()


def _convolution_is_faster(sequences: Tensor) -> bool:
    return (
        sequences.device.type == "cpu"
        and sequences.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and not _is_traced()
    )


def _is_traced() -> bool:
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
