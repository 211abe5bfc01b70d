"""A small speaker encoder that learns together with the extractor which sides of a voice help to find it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

_WINDOW_S, _HOP_S = 0.032, 0.01
_BANDS = 40
_FLOOR = 1e-5  # of the power of a full-scale band: 50 dB of dynamics at the level that all waveforms are brought to
_DILATIONS = (1, 2, 3)


class JointSpeakerEncoder(nn.Module):
    """Embeds enrollments: log mel energies, dilated convolutions, attentive mean and deviation over time.

    Waveforms are brought to one level and padded to the longest; what was padded is masked in every layer, so that
    an embedding depends on its own enrollment only. Weights: 0.22 million.

    Snyder et al., "X-vectors: robust DNN embeddings for speaker recognition", ICASSP 2018; Okabe et al., "Attentive
    statistics pooling for deep speaker embedding", Interspeech 2018.

    Args:
        sample_rate: Rate in Hz of the enrollments.
        embedding_size: Numbers in an embedding.
        hidden: Channels of the convolutions.

    >>> encoder = JointSpeakerEncoder(sample_rate=8000)
    >>> encoder([torch.randn(800), torch.randn(24000)]).shape, sum(p.numel() for p in encoder.parameters()) < 5e5
    (torch.Size([2, 128]), True)
    """

    def __init__(self, *, sample_rate: int, embedding_size: int = 128, hidden: int = 128) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        # zeros beyond both ends, so that padding changes no frame that is kept
        self.spectrum = torchaudio.transforms.MelSpectrogram(
            sample_rate,
            n_fft=round(_WINDOW_S * sample_rate),
            hop_length=round(_HOP_S * sample_rate),
            f_min=60.0,
            f_max=min(7600.0, sample_rate / 2),
            n_mels=_BANDS,
            pad_mode="constant",
        )
        self.input = nn.Conv1d(_BANDS, hidden, 5, padding=2)
        self.layers = nn.ModuleList(_Layer(hidden, dilation) for dilation in _DILATIONS)
        self.attention = nn.Sequential(nn.Linear(hidden, 64), nn.Tanh(), nn.Linear(64, 1))
        self.embedding = nn.Linear(2 * hidden, embedding_size)

    def forward(self, enrollments: Sequence[Tensor]) -> Tensor:
        """N waveforms (T_i,) float at `sample_rate`, any level -> (N, embedding size) of length 1."""
        features, mask = self._features(enrollments)
        frames = self.input(features) * mask
        for layer in self.layers:
            frames = layer(frames, mask)
        return F.normalize(self.embedding(self._pool(frames, mask)), dim=-1)

    def _features(self, enrollments: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Log mel energies (N, bands, L) and which frames are there, (N, 1, L) float."""
        if not enrollments:
            nothing = self.embedding.weight.new_zeros(0, _BANDS, 1)
            return nothing, nothing[:, :1]
        hop = self.spectrum.hop_length
        lengths = torch.tensor([1 + len(waveform) // hop for waveform in enrollments])
        device = self.embedding.weight.device
        with torch.autocast(device.type, enabled=False):
            waveforms = [waveform.to(device, torch.float32) for waveform in enrollments]
            level = [waveform / waveform.square().mean().sqrt().clamp_min(1e-8) for waveform in waveforms]
            energies = self.spectrum(pad_sequence(level, batch_first=True))
            # a full-scale band at this level has the power of the window's samples
            features = torch.log(energies / energies.new_tensor(self.spectrum.n_fft) + _FLOOR)
        mask = torch.arange(energies.shape[-1]) < lengths.unsqueeze(1)
        mask = mask.unsqueeze(1).to(features)
        return features * mask, mask

    def _pool(self, frames: Tensor, mask: Tensor) -> Tensor:
        """(N, H, L) to the attentive mean and standard deviation over time, (N, 2 H)."""
        scores = self.attention(frames.transpose(1, 2)).transpose(1, 2)
        weights = scores.float().masked_fill(mask == 0, -torch.inf).softmax(-1)
        mean = (weights * frames).sum(-1)
        variance = (weights * (frames - mean.unsqueeze(-1)).square()).sum(-1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], dim=-1)


class _Layer(nn.Module):
    """A residual convolution; the norm is over channels, frame by frame, and so knows nothing of padding."""

    def __init__(self, hidden: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.convolution = nn.Conv1d(hidden, hidden, 3, padding=dilation, dilation=dilation)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """(N, H, L) and a mask (N, 1, L) to the same."""
        normal = F.gelu(self.norm(frames.transpose(1, 2))).transpose(1, 2) * mask
        return frames + self.convolution(normal) * mask
