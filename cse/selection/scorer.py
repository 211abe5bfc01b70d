"""How well a text continues a conversation: what a scorer is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from cse.history import Turn


class Scorer(Protocol):
    """Compares what each talker said with the conversation before it. Safe to call from several threads.

    Attributes:
        name: Under which a `Calibration` keeps the weights for these scores.
        max_turns: How many of the last turns can change a score.
    """

    name: str
    max_turns: int

    def score(
        self, history: Sequence[Turn], candidates: Sequence[str], *, next_speaker: str | None = None
    ) -> np.ndarray:
        """Score each candidate as the next turn.

        Args:
            history: The turns before, oldest first.
            candidates: S texts, one per talker; an empty one is a talker of whom nothing was understood.
            next_speaker: Who speaks next, where that is known.

        Returns:
            (S,) float64, higher for a better continuation, comparable between conversations.
        """
        ...
