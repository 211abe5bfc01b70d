"""Filterbanks: from a waveform to a frame sequence that a backbone can mask, and back.

Both classes offer the same four steps, so that a model reads encode, look at features, apply masks, decode.
The learned filterbank at stride 8 is what the published networks use; the STFT one has eight to thirty times
fewer frames and trains on a CPU.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Filterbank(nn.Module, ABC):
    """What a separator needs of a filterbank: N features a frame, L frames for T samples.

    Attributes:
        channels: Features a frame, N.
    """

    channels: int

    @abstractmethod
    def encode(self, mixture: Tensor) -> Tensor:
        """(B, T) float waveform -> representation of L frames."""

    @abstractmethod
    def features(self, representation: Tensor) -> Tensor:
        """Representation -> (B, N, L) float features that a backbone looks at."""

    @abstractmethod
    def apply_masks(self, masks: Tensor, representation: Tensor) -> Tensor:
        """(B, S, N, L) backbone output and the mixture's representation -> one representation a talker."""

    @abstractmethod
    def decode(self, representations: Tensor, length: int) -> Tensor:
        """One representation a talker -> (B, S, `length`) waveforms."""


class LearnedFilterbank(Filterbank):
    """A 1-D convolution, and a transposed one back, both learned (Luo & Mesgarani, Conv-TasNet, 2019).

    Args:
        channels: Number of filters N.
        kernel_size: Samples a filter sees.
        stride: Samples between two frames; 8 at 8 kHz is 1 ms.

    >>> bank = LearnedFilterbank(channels=4, kernel_size=16, stride=8)
    >>> frames = bank.encode(torch.randn(1, 1003))
    >>> bank.decode(frames[:, None], 1003).shape
    torch.Size([1, 1, 1003])
    """

    def __init__(self, *, channels: int, kernel_size: int = 16, stride: int = 8) -> None:
        super().__init__()
        self.channels = channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.analysis = nn.Conv1d(1, channels, kernel_size, stride=stride, bias=False)
        self.synthesis = nn.ConvTranspose1d(channels, 1, kernel_size, stride=stride, bias=False)

    def encode(self, mixture: Tensor) -> Tensor:
        """(B, T) -> (B, N, L), non-negative. The end is padded so that every sample is covered."""
        missing = max(self.kernel_size - mixture.shape[-1], 0)
        padding = missing + (self.kernel_size - mixture.shape[-1] - missing) % self.stride
        return F.relu(self.analysis(F.pad(mixture, (0, padding)).unsqueeze(1)))

    def features(self, representation: Tensor) -> Tensor:
        """The representation itself, (B, N, L)."""
        return representation

    def apply_masks(self, masks: Tensor, representation: Tensor) -> Tensor:
        """Weigh every filter of every frame by a non-negative mask: (B, S, N, L)."""
        return F.relu(masks) * representation.unsqueeze(1)

    def decode(self, representations: Tensor, length: int) -> Tensor:
        """(B, S, N, L) -> (B, S, `length`) by overlap-add of the synthesis filters."""
        batch, talkers = representations.shape[:2]
        waveforms = self.synthesis(representations.flatten(0, 1)).view(batch, talkers, -1)
        return F.pad(waveforms, (0, max(0, length - waveforms.shape[-1])))[..., :length]


class STFTFilterbank(Filterbank):
    """A short-time Fourier transform with square-root Hann windows; masks are complex.

    Magnitudes are compressed by a power before the backbone sees them, since speech spans 60 dB.

    Args:
        channels: Real and imaginary parts of all bins, N: the window has `channels` − 2 samples.
        hop_size: Samples between two frames.
        compression: Exponent of the magnitude in the features; 1 leaves it as it is.

    >>> bank = STFTFilterbank(channels=66, hop_size=16)
    >>> x = torch.randn(1, 1003)
    >>> bool(torch.allclose(bank.decode(bank.encode(x)[:, None], 1003)[:, 0], x, atol=1e-5))
    True
    """

    window: Tensor

    def __init__(self, *, channels: int = 514, hop_size: int = 128, compression: float = 0.5) -> None:
        super().__init__()
        self.channels = channels
        self.window_size = channels - 2
        self.hop_size = hop_size
        self.compression = compression
        self.register_buffer("window", torch.hann_window(self.window_size).sqrt(), persistent=False)

    def encode(self, mixture: Tensor) -> Tensor:
        """(B, T) -> (B, N/2, L) complex spectrogram."""
        return torch.stft(
            mixture,
            self.window_size,
            self.hop_size,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )

    def features(self, representation: Tensor) -> Tensor:
        """Compressed spectrogram as (B, N, L): real parts of all bins, then imaginary parts."""
        magnitude = torch.abs(representation) + 1e-7
        compressed = representation * magnitude.pow(self.compression - 1)
        return torch.cat([compressed.real, compressed.imag], dim=1)

    def apply_masks(self, masks: Tensor, representation: Tensor) -> Tensor:
        """Multiply the spectrogram by complex masks: (B, S, N/2, L) complex.

        Masks are offset by one half, so that an untrained network starts from the mixture shared out evenly.
        """
        real, imaginary = masks.float().chunk(2, dim=2)
        return torch.complex(real + 0.5, imaginary) * representation.unsqueeze(1)

    def decode(self, representations: Tensor, length: int) -> Tensor:
        """(B, S, N/2, L) complex -> (B, S, `length`) by windowed overlap-add."""
        batch, talkers = representations.shape[:2]
        frames = representations.flatten(0, 1)
        waveforms = torch.istft(frames, self.window_size, self.hop_size, window=self.window, length=length)
        return waveforms.view(batch, talkers, length)
