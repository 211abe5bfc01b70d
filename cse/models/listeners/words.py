"""A listener for words."""

from __future__ import annotations

import torchaudio
from torch import Tensor, nn
from torch.nn import functional as F

from cse.models.listeners.listener import Listener
from cse.models.listeners.log_mel import LogMel

_BANDS = 40
_HOP_S = 0.02


class WordListener(Listener):
    """Hears words that the history makes likely: convolutions over log mel energies, then the maximum over time.

    Each feature of the last layer answers to some sound pattern of a third of a second, and its maximum says
    whether that pattern occurred anywhere. What was heard and what was told meet as in a two-tower retrieval model.
    Stripes of bands and times are masked in training (Park et al., SpecAugment, 2019).

    Args:
        cue_width: Width of a cue token, D.
        sample_rate: Rate in Hz of the estimates.
        embedding_size: Of the space in which both meet, E.
        hidden: Channels of the convolutions.
        dropout: In the blocks and before the embedding.

    >>> import torch
    >>> from cse.models.cues.cue import Cue
    >>> listener = WordListener(cue_width=6, sample_rate=8000, hidden=16)
    >>> listener(torch.randn(3, 2, 8000), Cue.of(torch.randn(3, 4, 6))).shape
    torch.Size([3, 2, 3])
    """

    def __init__(
        self,
        *,
        cue_width: int,
        sample_rate: int,
        embedding_size: int = 128,
        hidden: int = 160,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(cue_width=cue_width, embedding_size=embedding_size)
        self.log_mel = LogMel(sample_rate=sample_rate, bands=_BANDS, hop_s=_HOP_S)
        self.masking = nn.Sequential(
            *(torchaudio.transforms.FrequencyMasking(_BANDS // 6, iid_masks=True) for _ in range(2)),
            *(torchaudio.transforms.TimeMasking(round(0.2 / _HOP_S), iid_masks=True) for _ in range(2)),
        )
        self.blocks = nn.Sequential(
            Block(inputs=_BANDS, outputs=hidden, stride=1, dropout=dropout),
            Block(inputs=hidden, outputs=hidden, stride=2, dropout=dropout),
            Block(inputs=hidden, outputs=hidden, stride=2, dropout=dropout),
            Block(inputs=hidden, outputs=hidden, stride=1, dropout=dropout),
        )
        self.patterns = nn.Conv1d(hidden, 2 * hidden, 1)
        self.dropout = nn.Dropout(dropout)
        self.heard = nn.Linear(2 * hidden, embedding_size)

    def hear(self, estimates: Tensor) -> Tensor:
        """(B, S, T) float waveforms of any level -> (B, S, E) of length 1."""
        frames = self.log_mel(estimates.flatten(0, 1))
        if self.training:
            frames = self.masking(frames.unsqueeze(1)).squeeze(1)
        occurred = F.relu(self.patterns(self.blocks(frames)).amax(-1))
        return F.normalize(self.heard(self.dropout(occurred)), dim=-1).unflatten(0, estimates.shape[:2])


class Block(nn.Module):
    """A convolution over a tenth of a second or more, with a skip around it where shapes allow."""

    def __init__(self, *, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.skips = inputs == outputs and stride == 1
        self.layers = nn.Sequential(
            nn.Conv1d(inputs, outputs, 5, stride=stride, padding=2),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
            nn.Dropout(dropout if self.skips else 0.0),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(B, inputs, frames) -> (B, outputs, frames / stride)."""
        return frames + self.layers(frames) if self.skips else self.layers(frames)
