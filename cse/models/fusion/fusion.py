"""What all fusions have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from cse.models.cues.cue import Cue

FusionFactory = Callable[..., "Fusion"]
"""Builds a fusion from the keyword arguments `width` and `cue_width`; in a config, its class with `_partial_: true`."""


class Fusion(nn.Module, ABC):
    """Brings a cue into the state of a backbone before one of its repeats.

    A fusion either changes the state (`modulate`), or puts tokens in front of the sequences that the repeat attends
    over (`prompts`); the other one does nothing.

    Attributes:
        needs_sequences: Whether only a backbone that attends over sequences can use it.
    """

    needs_sequences: ClassVar[bool] = False

    @abstractmethod
    def modulate(self, state: Tensor, cue: Cue) -> Tensor:
        """State (B, …, W) with any number of positions, and a cue of width D -> the same shape."""

    def prompts(self, cue: Cue) -> tuple[Tensor, Tensor] | None:
        """Tokens (B, K, W) for the sequences within chunks and for those across chunks; None for none."""
        return None
