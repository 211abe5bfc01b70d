"""A listener for voices."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cse.models.listeners.listener import Listener
from cse.models.listeners.log_mel import LogMel


class VoiceListener(Listener):
    """Hears whose voice an estimate is: convolutions over log mel energies, then mean and deviation over time.

    An x-vector in small (Snyder et al., ICASSP 2018), trained together with the model into the space of the speaker
    cue.

    Args:
        cue_width: Width of a cue token, D.
        sample_rate: Rate in Hz of the estimates.
        embedding_size: Of the space in which both meet, E.
        hidden: Channels of the convolutions.

    >>> from cse.models.cues.cue import Cue
    >>> listener = VoiceListener(cue_width=6, sample_rate=8000, hidden=16)
    >>> listener(torch.randn(3, 2, 8000), Cue.of(torch.randn(3, 1, 6))).shape
    torch.Size([3, 2, 3])
    """

    def __init__(
        self, *, cue_width: int, sample_rate: int, embedding_size: int = 64, hidden: int = 96
    ) -> None:
        super().__init__(cue_width=cue_width, embedding_size=embedding_size)
        bands = 40
        # bands keep their mean here: it is the colour of the voice
        self.log_mel = LogMel(sample_rate=sample_rate, bands=bands, keep_colour=True)
        self.layers = nn.Sequential(
            nn.Conv1d(bands, hidden, 5, padding=2), nn.GELU(), nn.GroupNorm(1, hidden),
            nn.Conv1d(hidden, hidden, 3, stride=2, padding=1), nn.GELU(), nn.GroupNorm(1, hidden),
            nn.Conv1d(hidden, hidden, 3, padding=1), nn.GELU(),
        )  # fmt: skip
        self.heard = nn.Linear(2 * hidden, embedding_size)

    def hear(self, estimates: Tensor) -> Tensor:
        """(B, S, T) float waveforms of any level -> (B, S, E) of length 1."""
        frames = self.layers(self.log_mel(estimates.flatten(0, 1)))
        statistics = torch.cat([frames.mean(-1), (frames.var(-1, unbiased=False) + 1e-5).sqrt()], dim=-1)
        return F.normalize(self.heard(statistics), dim=-1).unflatten(0, estimates.shape[:2])
