"""What all poolings have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from cse.history import Turn, render_context
from cse.models.cues.cue import Cue


@dataclass(frozen=True)
class Conversation:
    """A history, oldest turn first and none without words, and who speaks next, as far as anybody knows."""

    turns: Sequence[Turn]
    next_speaker: str | None

    def context(self, max_turns: int) -> list[str]:
        """The last turns as one text that ends with the next speaker's empty line; no text without turns."""
        if not self.turns:
            return []
        return [render_context(self.turns, max_turns=max_turns, next_speaker=self.next_speaker)]


class Pooling(nn.Module, ABC):
    """Says which texts of a conversation are read, and makes tokens of the hidden states.

    What is done to one text alone (`reduce`) has no weights, so that it can be kept; what is trained comes after.

    Attributes:
        reduction: Name of what `reduce` does, with all that it depends on.
        tokens: K, whatever the conversation.
        max_turns: How many of the last turns are read.
        width: D, where the pooling was made for one.

    Raises:
        ValueError: If K or `max_turns` is less than 1.
    """

    reduction: str
    width: int | None = None

    def __init__(self, *, tokens: int, max_turns: int) -> None:
        super().__init__()
        if tokens < 1 or max_turns < 1:
            raise ValueError(f"got {tokens} tokens and max_turns={max_turns}, expected at least one of each")
        self.tokens = tokens
        self.max_turns = max_turns

    @abstractmethod
    def texts(self, conversation: Conversation) -> list[str]:
        """What is read of a conversation, the newest last; nothing of one without turns."""

    @abstractmethod
    def reduce(self, states: Tensor) -> Tensor:
        """Hidden states of one text, (tokens, D) -> (k, D), k at most K."""

    def forward(self, tokens: Tensor, mask: Tensor, conversations: Sequence[Conversation]) -> Cue:
        """Finish the cue.

        Args:
            tokens: (B, K, D), what `reduce` made, the newest last, zeros in front where there are fewer than K.
            mask: (B, K) bool, True where there is a token.
            conversations: B of them.
        """
        return Cue.of(tokens, mask)


def unit_level(tokens: Tensor) -> Tensor:
    """(…, D) at a root mean square of 1, the level that weights are initialised for; zeros stay zeros."""
    return tokens / tokens.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-6)
