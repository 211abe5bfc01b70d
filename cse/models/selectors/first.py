"""The published extractors' choice: there is none."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cse.models.cues.cue import Cue
from cse.models.selectors.selector import Heard, Judgement, Selector


class FirstVoice(Selector):
    """The first mask is the target's, by training; whether somebody is meant at all, nobody knows."""

    def hear(self, voices: Tensor, slots: Tensor | None) -> Heard:
        """Voices (B, S, T) -> logits (B, S + 1), certain of the first."""
        logits = voices.new_full((voices.shape[0], voices.shape[1] + 1), float("-inf"))
        logits[:, 0] = 0.0
        return (logits,)

    def compare(self, heard: Heard, cues: Sequence[Cue]) -> Judgement:
        """The same logits, whatever the cues."""
        return Judgement(*heard)
