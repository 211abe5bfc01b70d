"""The whole context in the state of its last token."""

from __future__ import annotations

from torch import Tensor

from cse.models.cues.pooling.pooling import Conversation, Pooling


class LastToken(Pooling):
    """One token: the last hidden state of the context's last token, for causal language models.

    As in Kim, Mira et al., "Contextual Speech Extraction: Leveraging Textual History as an Implicit Cue for Target
    Speech Extraction", ICASSP 2025.

    Args:
        max_turns: How many of the last turns make the context.
    """

    reduction = "last_token"

    def __init__(self, *, max_turns: int) -> None:
        super().__init__(tokens=1, max_turns=max_turns)

    def texts(self, conversation: Conversation) -> list[str]:
        """The context."""
        return conversation.context(self.max_turns)

    def reduce(self, states: Tensor) -> Tensor:
        """(tokens, D) -> (1, D), the last one."""
        return states[-1:]
