"""A listener for words."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cse.models.cues.cue import Cue
from cse.models.listeners.listener import Listener
from cse.models.listeners.log_mel import LogMel


class WordListener(Listener):
    """Hears words that the history makes likely: convolutions over log mel energies, then the maximum over time.

    Each feature of the last layer answers to some sound pattern of about half a second, and its maximum says
    whether that pattern occurred anywhere. What was heard and what was told meet as in a two-tower retrieval model.

    Args:
        cue_width: Width of a cue token, D.
        sample_rate: Rate in Hz of the estimates.
        embedding_size: Of the space in which both meet, E.
        hidden: Channels of the convolutions.
        dropout: Between them.

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
        bands = 40
        self.attention = nn.Linear(cue_width, 1, bias=False)
        self.log_mel = LogMel(sample_rate=sample_rate, bands=bands)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, hidden, 5, stride=stride, padding=2),
                nn.GELU(),
                nn.GroupNorm(1, hidden),
                nn.Dropout(dropout),
            )
            for channels, stride in ((bands, 1), (hidden, 2), (hidden, 1), (hidden, 2), (hidden, 1))
        )
        self.patterns = nn.Conv1d(hidden, 2 * hidden, 1)
        self.heard = nn.Linear(2 * hidden, embedding_size)

    def summary(self, cue: Cue) -> Tensor:
        """Cue tokens (B, K, D) -> (B, D): a mean in which a token weighs what attention gives it."""
        weights = self.attention(cue.tokens).masked_fill(
            ~cue.mask.unsqueeze(-1), torch.finfo(cue.tokens.dtype).min
        )
        return (weights.softmax(1) * cue.tokens).sum(1)

    def hear(self, estimates: Tensor) -> Tensor:
        """(B, S, T) float waveforms of any level -> (B, S, E) of length 1."""
        frames = self.log_mel(estimates.flatten(0, 1))
        for layer in self.layers:
            frames = layer(frames)
        occurred = F.relu(self.patterns(frames).amax(-1))
        return F.normalize(self.heard(occurred), dim=-1).unflatten(0, estimates.shape[:2])
