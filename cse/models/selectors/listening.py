"""The choice by the words that are heard."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cse.models.cues.cue import Cue
from cse.models.listeners.listener import Listener
from cse.models.selectors.selector import Heard, Judgement, Selector, against_nobody, own


class ListeningSelector(Selector):
    """Hears every voice and compares it with the history: the scores follow the voices wherever they are put.

    Args:
        listener: Compares a voice with the history.
    """

    def __init__(self, *, listener: Listener) -> None:
        super().__init__()
        self.listener = listener

    def hear(self, voices: Tensor, slots: Tensor | None) -> Heard:
        """Voices (B, S, T) -> (B, S, E)."""
        return (self.listener.hear(voices),)

    def compare(self, heard: Heard, cues: Sequence[Cue]) -> Judgement:
        """What was heard and the history -> logits (B, S + 1)."""
        (words,), (text,) = heard, cues
        pairings = self.listener.pair(words, text)
        return Judgement(against_nobody(own(pairings)), pairings)
