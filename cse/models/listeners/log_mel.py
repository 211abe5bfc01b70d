"""Log mel energies of an estimate, whatever its level."""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor, nn

_FLOOR = 1e-4  # for a voice at a root mean square of 1: what a separator leaves of the others is below


class LogMel(nn.Module):
    """Waveforms to log mel energies that do not depend on their level, about 1 in size.

    Args:
        sample_rate: In Hz.
        bands: Mel bands up to 7600 Hz, or to the highest frequency that there is.
        window_s: Seconds of a frame.
        hop_s: Seconds between two frames.
        keep_colour: Leave the mean over time of each band in, which is the colour of the voice and of the room.

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
        keep_colour: bool = False,
    ) -> None:
        super().__init__()
        self.keep_colour = keep_colour
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
            level = (waveforms.square().mean(-1, keepdim=True) + 1e-10).sqrt()
            logs = (self.spectrum(waveforms / level) + _FLOOR).log()
            return (logs - logs.mean((1, 2) if self.keep_colour else 2, keepdim=True)) / 3
