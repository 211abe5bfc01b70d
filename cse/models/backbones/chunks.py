"""Cutting a frame sequence into half-overlapping chunks, and adding them up again (Luo et al., DPRNN, 2020)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def split_chunks(frames: Tensor, chunk_size: int) -> Tensor:
    """(B, L, W) frames -> (B, chunks, `chunk_size`, W), zero-padded by half a chunk at the start and more at the end.

    Every frame is in two chunks. They are a view that shares its memory between neighbours: not to be written to.

    >>> import torch
    >>> split_chunks(torch.arange(4.0).view(1, 4, 1), 4)[0, :, :, 0].int().tolist()
    [[0, 0, 0, 1], [0, 1, 2, 3], [2, 3, 0, 0], [0, 0, 0, 0]]
    """
    half = chunk_size // 2
    gap = chunk_size - (half + frames.shape[1] % chunk_size) % chunk_size
    padded = F.pad(frames, (0, 0, half, half + gap))
    if torch.jit.is_tracing():  # ONNX has no such view
        halves = padded.unflatten(1, (-1, half))
        return torch.cat([halves[:, :-1], halves[:, 1:]], dim=2)
    return padded.unfold(1, chunk_size, half).transpose(2, 3)


def join_chunks(chunks: Tensor, frames: int) -> Tensor:
    """Overlap-add chunks (B, chunks, chunk size, W) to (B, `frames`, W); undoes `split_chunks` up to a factor of 2.

    >>> import torch
    >>> x = torch.randn(2, 17, 3)
    >>> bool(torch.allclose(join_chunks(split_chunks(x, 8), 17), 2 * x))
    True
    """
    half = chunks.shape[2] // 2
    first, second = chunks[:, :, :half], chunks[:, :, half:]
    return (first[:, 1:] + second[:, :-1]).flatten(1, 2)[:, :frames]
