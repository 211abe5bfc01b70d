"""Cutting a frame sequence into half-overlapping chunks, and adding them up again (Luo et al., DPRNN, 2020)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def split_chunks(frames: Tensor, chunk_size: int) -> Tensor:
    """(B, D, L) frames -> (B, D, `chunk_size`, chunks), zero-padded by half a chunk at the start and more at the end.

    >>> import torch
    >>> split_chunks(torch.arange(4.0).view(1, 1, 4), 4)[0, 0].T.int().tolist()
    [[0, 0, 0, 1], [0, 1, 2, 3], [2, 3, 0, 0], [0, 0, 0, 0]]
    """
    half = chunk_size // 2
    gap = chunk_size - (half + frames.shape[-1] % chunk_size) % chunk_size
    return F.pad(frames, (half, half + gap)).unfold(-1, chunk_size, half).transpose(-1, -2)


def join_chunks(chunks: Tensor, frames: int) -> Tensor:
    """Overlap-add chunks (B, D, chunk size, chunks) to (B, D, `frames`); undoes `split_chunks` up to a factor of 2.

    >>> import torch
    >>> x = torch.randn(2, 3, 17)
    >>> bool(torch.allclose(join_chunks(split_chunks(x, 8), 17), 2 * x))
    True
    """
    batch, width, size, count = chunks.shape
    half = size // 2
    first, second = chunks[:, :, :half], chunks[:, :, half:]
    total = first.new_zeros(batch, width, half, count + 1)
    total[..., :count] += first
    total[..., 1:] += second
    return total.transpose(-1, -2).reshape(batch, width, -1)[..., half : half + frames]
