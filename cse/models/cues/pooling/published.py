"""The context written as the published networks were trained to read it."""

from __future__ import annotations

from cse.models.cues.pooling.last_token import LastToken
from cse.models.cues.pooling.pooling import Conversation


class PublishedContext(LastToken):
    """`LastToken` of a context whose speakers are numbers and whose lines are joined by the two characters `/n`.

    Speakers are numbered as they first speak (Kim, Mira et al., CSE, ICASSP 2025). Turns without speakers are
    written as sentences alone, as there for TED talks.

    Args:
        max_turns: How many of the last turns make the context.

    >>> from cse.history import Turn
    >>> turns = [Turn("Hi.", "Ben"), Turn("Where shall we meet?", "Ana")]
    >>> PublishedContext(max_turns=100).texts(Conversation(turns, "Ben"))
    ['Speaker 0: Hi./nSpeaker 1: Where shall we meet?/nSpeaker 0: ']
    """

    def texts(self, conversation: Conversation) -> list[str]:
        """The context."""
        if not conversation.turns:
            return []
        numbers: dict[str | None, int] = {}
        for turn in conversation.turns:
            if turn.speaker is not None:
                numbers.setdefault(turn.speaker, len(numbers))
        numbers.setdefault(conversation.next_speaker, len(numbers))
        lines = [
            _line(turn.speaker, numbers, " ".join(turn.text.split()))
            for turn in conversation.turns[-self.max_turns :]
        ]
        return ["/n".join([*lines, _line(conversation.next_speaker, numbers, "")])]


def _line(speaker: str | None, numbers: dict[str | None, int], words: str) -> str:
    return words if speaker is None else f"Speaker {numbers[speaker]}: {words}"
