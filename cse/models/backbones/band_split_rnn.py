"""The band-split recurrent network: along the frames of every band, then across the bands of every frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cse.models.backbones.backbone import Backbone
from cse.models.backbones.frame_attention import FrameAttention
from cse.models.cues.cue import Cue
from cse.models.fusion.fusion import FusionFactory


class BandSplitRNN(Backbone):
    """A small network for STFT features that learns on a CPU (Luo & Yu, Music Source Separation with BSRNN, 2023).

    All bands share the recurrent weights, so that a model of one megabyte hears a pitch at any frequency.

    Args:
        channels: Features a frame, N: real parts of all bins, then imaginary parts.
        talkers: Number of masks S.
        band_widths: Bins of each band, from low to high; they add up to N / 2.
        width: Features a band.
        hidden: LSTM units a direction.
        repeats: Number of repeats R.
        attention_heads: Heads of an attention between whole frames at the end of each repeat; 0 leaves it out.
        fusion: How cues enter before each repeat; None for a backbone without cues.
        cue_width: Width of the cue tokens, D.

    Raises:
        ValueError: If the bands do not add up to the bins.

    >>> net = BandSplitRNN(channels=10, talkers=2, band_widths=(2, 3), width=4, hidden=4, repeats=1)
    >>> net(torch.randn(3, 10, 50)).shape
    torch.Size([3, 2, 10, 50])
    """

    def __init__(
        self,
        *,
        channels: int,
        talkers: int,
        band_widths: Sequence[int],
        width: int = 32,
        hidden: int = 64,
        repeats: int = 4,
        attention_heads: int = 0,
        fusion: FusionFactory | None = None,
        cue_width: int | None = None,
    ) -> None:
        super().__init__(
            channels=channels,
            talkers=talkers,
            state_width=width,
            repeats=repeats,
            fusion=fusion,
            cue_width=cue_width,
        )
        if 2 * sum(band_widths) != channels:
            raise ValueError(
                f"band_widths add up to {sum(band_widths)} bins, expected {channels // 2}, half of the channels; "
                "widen or narrow the last band"
            )
        self.band_widths = tuple(band_widths)
        self.entries = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, 2 * bins), nn.Conv1d(2 * bins, width, 1))
            for bins in self.band_widths
        )
        self.repeats = nn.ModuleList(
            BandSplitRepeat(
                width=width, hidden=hidden, bands=len(self.band_widths), attention_heads=attention_heads
            )
            for _ in range(repeats)
        )
        self.exits = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, width),
                nn.Conv1d(width, 4 * width, 1),
                nn.Tanh(),
                nn.Conv1d(4 * width, talkers * 2 * bins, 1),
            )
            for bins in self.band_widths
        )

    def forward(self, features: Tensor, cue: Cue | None = None) -> Tensor:
        """Features (B, N, L) float and a cue -> masks (B, S, N, L), not yet bounded (the filterbank does that)."""
        state = self._split(features)
        for number, repeat in enumerate(self.repeats):
            state = repeat(self._modulate(number, state, cue))
        return self._join(state)

    def _split(self, features: Tensor) -> Tensor:
        """(B, N, L) -> (B, bands, L, width)."""
        real, imaginary = (part.split(self.band_widths, dim=1) for part in features.chunk(2, dim=1))
        bands = [
            entry(torch.cat(parts, dim=1))
            for entry, *parts in zip(self.entries, real, imaginary, strict=True)
        ]
        return torch.stack(bands, dim=1).transpose(2, 3)

    def _join(self, state: Tensor) -> Tensor:
        """(B, bands, L, width) -> (B, S, N, L)."""
        bands = [
            exit_(band).unflatten(1, (self.talkers, 2, -1))
            for exit_, band in zip(self.exits, state.transpose(2, 3).unbind(1), strict=True)
        ]
        return torch.cat(bands, dim=3).flatten(2, 3)


class BandSplitRepeat(nn.Module):
    """One pass along time, one across bands, and a look at all frames, each with a skip around it."""

    def __init__(self, *, width: int, hidden: int, bands: int, attention_heads: int) -> None:
        super().__init__()
        self.time = ResidualLSTM(width=width, hidden=hidden)
        self.band = ResidualLSTM(width=width, hidden=hidden)
        self.frames = (
            FrameAttention(width=width, bands=bands, heads=attention_heads)
            if attention_heads
            else nn.Identity()
        )

    def forward(self, state: Tensor) -> Tensor:
        """(B, bands, L, width) -> the same shape."""
        batch, bands = state.shape[:2]
        state = self.time(state.flatten(0, 1)).unflatten(0, (batch, bands))
        state = self.band(state.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, -1))
        return self.frames(state.transpose(1, 2))


class ResidualLSTM(nn.Module):
    """Normalise, run a bidirectional LSTM, project back, add."""

    def __init__(self, *, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.projection = nn.Linear(2 * hidden, width)

    def forward(self, sequence: Tensor) -> Tensor:
        """(sequences, steps, width) -> the same shape."""
        return sequence + self.projection(self.lstm(self.norm(sequence))[0])
