"""The text that the published networks were trained to read."""

from __future__ import annotations

import pytest

from cse.history import Turn
from cse.models.cues.pooling.pooling import Conversation
from cse.models.cues.pooling.published import PublishedContext

CHAT = [Turn("Hi.", "Ben"), Turn("Where shall\nwe meet?", "Ana"), Turn("Or not?", "Ana")]


@pytest.mark.parametrize(
    ("turns", "next_speaker", "max_turns", "text"),
    [
        (CHAT, "Ben", 9, "Speaker 0: Hi./nSpeaker 1: Where shall we meet?/nSpeaker 1: Or not?/nSpeaker 0: "),
        (CHAT, "Ana", 1, "Speaker 1: Or not?/nSpeaker 1: "),
        (CHAT, "Cora", 1, "Speaker 1: Or not?/nSpeaker 2: "),
        (CHAT, None, 1, "Speaker 1: Or not?/n"),
        ([Turn("So we went."), Turn("Far away.")], None, 9, "So we went./nFar away./n"),
    ],
)
def test_speakers_are_numbers_as_they_first_spoke(turns, next_speaker, max_turns, text):
    assert PublishedContext(max_turns=max_turns).texts(Conversation(turns, next_speaker)) == [text]


def test_no_turns_are_no_text():
    assert PublishedContext(max_turns=9).texts(Conversation([], "Ana")) == []
