"""One token a turn: what was said, by whom, and how long ago."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cse.models.cues.cue import Cue
from cse.models.cues.pooling.pooling import Conversation, Pooling, unit_level

UNKNOWN, SAME, OTHER = range(3)
_EMBEDDING_LEVEL = 0.3  # beside turns at 1


class Turns(Pooling):
    """K tokens, one for each of the last turns: the mean of its hidden states, with who spoke and how many turns ago.

    Each turn is read by itself, so that the next message of a chat costs one encoding. Its mean is brought to a root
    mean square of 1; then a learned embedding is added that says whether the next speaker, another one or nobody
    knows who said it, and one that says how many turns ago.

    Args:
        max_turns: K.
        width: D, the encoder's.
    """

    reduction = "mean"

    def __init__(self, *, max_turns: int, width: int) -> None:
        super().__init__(tokens=max_turns, max_turns=max_turns)
        self.width = width
        self.speaker = nn.Embedding(3, width)
        self.recency = nn.Embedding(max_turns, width)
        for embedding in (self.speaker, self.recency):
            nn.init.normal_(embedding.weight, std=_EMBEDDING_LEVEL)

    def texts(self, conversation: Conversation) -> list[str]:
        """The words of each of the last turns, without names."""
        return [" ".join(turn.text.split()) for turn in conversation.turns[-self.max_turns :]]

    def reduce(self, states: Tensor) -> Tensor:
        """(tokens, D) -> (1, D), the mean."""
        return states.mean(0, keepdim=True) if len(states) else states.new_zeros(1, states.shape[1])

    def forward(self, tokens: Tensor, mask: Tensor, conversations: Sequence[Conversation]) -> Cue:
        """See `Pooling`."""
        speakers = torch.tensor([self._speakers(conversation) for conversation in conversations])
        turns_ago = torch.arange(self.tokens - 1, -1, -1, device=tokens.device)
        where = self.speaker(speakers.to(tokens.device)) + self.recency(turns_ago)
        return Cue.of(unit_level(tokens) + where, mask)

    def _speakers(self, conversation: Conversation) -> list[int]:
        """For each of K places whether the next speaker said it."""
        turns, next_speaker = conversation.turns[-self.tokens :], conversation.next_speaker
        found = [UNKNOWN] * (self.tokens - len(turns))
        for turn in turns:
            if turn.speaker is None or next_speaker is None:
                found.append(UNKNOWN)
            else:
                found.append(SAME if turn.speaker == next_speaker else OTHER)
        return found
