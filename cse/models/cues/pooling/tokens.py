"""The context as it is: the state of every token."""

from __future__ import annotations

from torch import Tensor

from cse.models.cues.pooling.pooling import Conversation, Pooling


class AllTokens(Pooling):
    """K tokens: the last hidden states of the context's last K tokens, for fusions that attend over them.

    Args:
        max_turns: How many of the last turns make the context.
        tokens: K; of a longer context the newest are kept.
    """

    def __init__(self, *, max_turns: int, tokens: int) -> None:
        super().__init__(tokens=tokens, max_turns=max_turns)
        self.reduction = f"tokens{tokens}"

    def texts(self, conversation: Conversation) -> list[str]:
        """The context."""
        return conversation.context(self.max_turns)

    def reduce(self, states: Tensor) -> Tensor:
        """(tokens, D) -> (at most K, D), the last ones."""
        return states[-self.tokens :]
