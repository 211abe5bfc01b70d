"""The whole context in the mean of its tokens."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cse.models.cues.cue import Cue
from cse.models.cues.pooling.pooling import Conversation, Pooling, unit_level


class Mean(Pooling):
    """One token: the mean over the hidden states of the context's tokens, at a root mean square of 1.

    Args:
        max_turns: How many of the last turns make the context.
    """

    reduction = "mean"

    def __init__(self, *, max_turns: int) -> None:
        super().__init__(tokens=1, max_turns=max_turns)

    def texts(self, conversation: Conversation) -> list[str]:
        """The context."""
        return conversation.context(self.max_turns)

    def reduce(self, states: Tensor) -> Tensor:
        """(tokens, D) -> (1, D), the mean."""
        return states.mean(0, keepdim=True) if len(states) else states

    def forward(self, tokens: Tensor, mask: Tensor, conversations: Sequence[Conversation]) -> Cue:
        """See `Pooling`."""
        return Cue.of(unit_level(tokens), mask)
