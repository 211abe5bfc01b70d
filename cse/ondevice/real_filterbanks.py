"""The short-time Fourier transform in real numbers, as convolutions: ONNX has no complex tensors, and no inverse.

Everything from waveform to waveform is in the exported file this way, so that nobody who runs it, in a browser or on a
phone, writes a transform of their own that could differ.
"""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional as F

from cse.models.filterbanks import Filterbank, STFTFilterbank


class RealSTFT(nn.Module):
    """What `torch.stft` does with frames centred on their times, without complex numbers.

    Args:
        window: (frame size,) float.
        hop_size: Samples between two frames.
        reflect: What is beyond both ends: the waveform in a mirror, or silence.

    >>> stft, x = RealSTFT(window=torch.hann_window(16), hop_size=4, reflect=True), torch.randn(1, 50)
    >>> theirs = torch.stft(x, 16, 4, window=torch.hann_window(16), return_complex=True)
    >>> bool(torch.allclose(stft(x), torch.cat([theirs.real, theirs.imag], dim=1), atol=1e-5))
    True
    """

    filters: Tensor

    def __init__(self, *, window: Tensor, hop_size: int, reflect: bool) -> None:
        super().__init__()
        self.size = len(window)
        self.hop_size = hop_size
        self.reflect = reflect
        self.register_buffer("filters", (fourier_basis(self.size) * window).unsqueeze(1))

    def forward(self, waveforms: Tensor) -> Tensor:
        """(B, T) -> (B, 2 · bins, L): real parts of all bins, then imaginary parts."""
        half = self.size // 2
        padded = F.pad(waveforms.unsqueeze(1), (half, half), mode="reflect" if self.reflect else "constant")
        return F.conv1d(padded, self.filters, stride=self.hop_size)


def fourier_basis(size: int) -> Tensor:
    """Cosines, and then negative sines, of all bins up to half the sample rate: (2 · bins, `size`) float.

    >>> fourier_basis(8).shape
    torch.Size([10, 8])
    """
    steps = torch.outer(torch.arange(size // 2 + 1), torch.arange(size)) % size
    angles = 2 * torch.pi / size * steps.double()
    return torch.cat([angles.cos(), -angles.sin()]).float()


class RealSTFTFilterbank(Filterbank):
    """`STFTFilterbank` in real numbers: the same masks give the same waveforms, up to rounding.

    Analysis and synthesis share one weight, which need not be stored (`cse.ondevice.tidying`).

    Args:
        of: The filterbank to imitate.

    >>> bank, x = STFTFilterbank(channels=66, hop_size=16), torch.randn(1, 1003)
    >>> real = RealSTFTFilterbank(bank)
    >>> bool(torch.allclose(real.features(real.encode(x)), bank.features(bank.encode(x)), atol=1e-5))
    True
    >>> bool(torch.allclose(real.decode(real.encode(x)[:, None], 1003)[:, 0], x, atol=1e-5))
    True
    """

    shares: Tensor
    envelope: Tensor

    def __init__(self, of: STFTFilterbank) -> None:
        super().__init__()
        self.channels = of.channels
        self.hop_size = of.hop_size
        self.compression = of.compression
        self.stft = RealSTFT(window=of.window, hop_size=of.hop_size, reflect=False)
        shares = torch.full((of.window_size // 2 + 1, 1), 2.0 / of.window_size)
        shares[[0, -1]] /= 2  # all other bins stand for two
        self.register_buffer("shares", shares.repeat(2, 1))
        self.register_buffer("envelope", of.window.square().view(1, 1, -1))

    def encode(self, mixture: Tensor) -> Tensor:
        """(B, T) -> (B, N, L): real parts of all bins, then imaginary parts."""
        spectrum: Tensor = self.stft(mixture)
        return spectrum

    def features(self, representation: Tensor) -> Tensor:
        """Compressed spectrogram as (B, N, L)."""
        real, imaginary = representation.chunk(2, dim=1)
        magnitude = (real.square() + imaginary.square()).sqrt() + 1e-7
        return representation * magnitude.pow(self.compression - 1).repeat(1, 2, 1)

    def apply_masks(self, masks: Tensor, representation: Tensor) -> Tensor:
        """Multiply the spectrogram by complex masks, offset by one half: (B, S, N, L)."""
        real, imaginary = masks.chunk(2, dim=2)
        real = real + 0.5
        of_real, of_imaginary = representation.unsqueeze(1).chunk(2, dim=2)
        return torch.cat(
            [real * of_real - imaginary * of_imaginary, real * of_imaginary + imaginary * of_real], dim=2
        )

    def decode(self, representations: Tensor, length: int) -> Tensor:
        """(B, S, N, L) -> (B, S, `length`) by windowed overlap-add."""
        batch, talkers = representations.shape[:2]
        hop_size, half = self.hop_size, self.stft.size // 2
        frames = representations.flatten(0, 1) * self.shares
        waveforms = F.conv_transpose1d(frames, self.stft.filters, stride=hop_size)
        ones = torch.ones_like(frames[:1, :1])
        levels = F.conv_transpose1d(ones, self.envelope, stride=hop_size).clamp(min=1e-8)
        waveforms = F.pad(waveforms / levels, (0, hop_size))  # what is after the last whole hop
        return waveforms[:, 0, half : half + length].view(batch, talkers, length)


class RealMelSpectrogram(nn.Module):
    """A power mel spectrogram of `torchaudio` in real numbers.

    Args:
        of: The transform to imitate.

    >>> transform = torchaudio.transforms.MelSpectrogram(8000, n_fft=256, hop_length=160, n_mels=20)
    >>> x = torch.randn(1, 8000)
    >>> bool(torch.allclose(RealMelSpectrogram(transform)(x), transform(x), rtol=1e-3, atol=1e-2))
    True
    """

    def __init__(self, of: torchaudio.transforms.MelSpectrogram) -> None:
        super().__init__()
        spectrogram = of.spectrogram
        self.stft = RealSTFT(
            window=spectrogram.window,
            hop_size=spectrogram.hop_length,
            reflect=spectrogram.pad_mode == "reflect",
        )
        self.scale = of.mel_scale

    def forward(self, waveforms: Tensor) -> Tensor:
        """(B, T) -> (B, bands, L)."""
        real, imaginary = self.stft(waveforms).chunk(2, dim=1)
        energies: Tensor = self.scale(real.square() + imaginary.square())
        return energies
