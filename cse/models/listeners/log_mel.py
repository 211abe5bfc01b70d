"""Log mel energies of an estimate, whatever its level."""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor, nn

_FLOOR = 1e-4  # of the mean power: 40 dB below a voice is what a separator leaves of the others


class LogMel(nn.Module):
    """Waveforms to log mel energies that do not depend on their level.

    Args:
        sample_rate: In Hz.
        bands: Mel bands up to 7600 Hz, or to the highest frequency that there is.
        window_s: Seconds of a frame.
        hop_s: Seconds between two frames.
        keep_mean: Leave the spectral colour of a voice in; otherwise each band has mean 0 and variance 1 over time.

    >>> LogMel(sample_rate=8000, bands=20)(torch.randn(3, 8000)).shape
    torch.Size([3, 20, 51])
    """

    def __init__(
        self,
        *,
        sample_rate: int,
        bands: int = 40,
        window_s: float = 0.032,
        hop_s: float = 0.02,
        keep_mean: bool = False,
    ) -> None:
        super().__init__()
        self.keep_mean = keep_mean
        self.spectrum = torchaudio.transforms.MelSpectrogram(
            sample_rate,
            n_fft=round(window_s * sample_rate),
            hop_length=round(hop_s * sample_rate),
            f_min=60,
            f_max=min(7600, sample_rate // 2),
            n_mels=bands,
        )

    def forward(self, waveforms: Tensor) -> Tensor:
        """(B, T) float -> (B, bands, frames) float32."""
        with torch.autocast(waveforms.device.type, enabled=False):
            waveforms = waveforms.float()
            power = waveforms.square().mean(-1, keepdim=True)
            energies = self.spectrum(waveforms / (power + 1e-10).sqrt())
            logs = (energies + _FLOOR * energies.mean((1, 2), keepdim=True) + 1e-10).log()
            if self.keep_mean:
                return (logs - logs.mean((1, 2), keepdim=True)) / 3
            centred = logs - logs.mean(-1, keepdim=True)
            return centred / (centred.square().mean(-1, keepdim=True) + 1e-3).sqrt()
