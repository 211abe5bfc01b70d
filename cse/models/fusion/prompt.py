"""The paper's fusion: cue tokens in front of every sequence."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from cse.models.cues.cue import Cue
from cse.models.fusion.fusion import Fusion


class Prompt(Fusion):
    """Puts the mapped cue tokens in front of every intra- and inter-chunk sequence (Kim, Mira et al., CSE, 2025).

    The transformer attends to them as to any frame; their positions are dropped afterwards. A missing token is mapped
    from zeros, so what stands in its place is learned: the mapper's bias.

    Args:
        width: Features of the state, W.
        cue_width: Width of a cue token, D.
    """

    needs_sequences: ClassVar[bool] = True

    def __init__(self, *, width: int, cue_width: int) -> None:
        super().__init__()
        self.intra = nn.Linear(cue_width, width)
        self.inter = nn.Linear(cue_width, width)

    def modulate(self, state: Tensor, cue: Cue) -> Tensor:
        """The state as it is."""
        return state

    def prompts(self, cue: Cue) -> tuple[Tensor, Tensor]:
        """Tokens (B, K, W) for the sequences within chunks and for those across chunks."""
        return self.intra(cue.tokens), self.inter(cue.tokens)
