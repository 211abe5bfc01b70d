"""The published extractors' choice: there is none."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cse.models.cues.cue import Cue
from cse.models.selectors.selector import Judgement, Selector


class FirstVoice(Selector):
    """The first mask is the target's, by training; whether somebody is meant at all, nobody knows."""

    def forward(self, voices: Tensor, cues: Sequence[Cue], *, prompt: Tensor | None = None) -> Judgement:
        """Voices (B, S, T) -> logits (B, S + 1), certain of the first."""
        logits = voices.new_full((voices.shape[0], voices.shape[1] + 1), float("-inf"))
        logits[:, 0] = 0.0
        return Judgement(logits)
