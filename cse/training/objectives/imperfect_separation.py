"""What a separator might leave of true voices, made up at a hundredth of its cost."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_WINDOW, _HOP = 512, 256
_BANDS, _FRAMES = 16, 4  # as many bins and frames err alike: residues come in patches
_CHANGES = 8  # of how well a voice is separated in one mixture
_NATS_PER_DB = math.log(10) / 10


def imperfectly_separated(
    talkers: Tensor, error_db: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Mask a mixture for each talker by ratio masks that err: holes, residues, voices mixed up for a while.

    The mask is the Wiener filter of levels that are wrong by smooth noise, one part of it the same at all frequencies.

    Args:
        talkers: (B, S, T) float, the true ones.
        error_db: (B,) float, standard deviation of each of the two parts of the error; 0 for Wiener filters.
        generator: Draws the errors; PyTorch's own if None.

    Returns:
        (B, S, T) float; the estimates of a mixture add up to it.

    >>> voices = torch.randn(1, 2, 8000)
    >>> estimates = imperfectly_separated(voices, torch.tensor([10.0]))
    >>> torch.allclose(estimates.sum(1), voices.sum(1), atol=1e-4)
    True
    """
    batch, count, samples = talkers.shape
    window = torch.hann_window(_WINDOW, device=talkers.device)
    spectra = torch.stft(talkers.flatten(0, 1), _WINDOW, _HOP, window=window, return_complex=True)
    spectra = spectra.unflatten(0, (batch, count))
    bins, frames = spectra.shape[-2:]

    def noise(*places: int, size: tuple[int, int]) -> Tensor:
        drawn = torch.randn(batch, count, *places, generator=generator, device=talkers.device)
        return F.interpolate(drawn, size=size, mode="bilinear")

    everywhere = noise(1, _CHANGES, size=(1, frames))
    errors = everywhere + noise(-(-bins // _BANDS), -(-frames // _FRAMES), size=(bins, frames))
    level = (spectra.abs().square() + 1e-10).log() + _NATS_PER_DB * error_db.view(-1, 1, 1, 1) * errors
    estimates = level.softmax(1) * spectra.sum(1, keepdim=True)
    waveforms = torch.istft(estimates.flatten(0, 1), _WINDOW, _HOP, window=window, length=samples)
    return waveforms.unflatten(0, (batch, count))
