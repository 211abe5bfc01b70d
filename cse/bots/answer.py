"""From what was found out about a recording to what is answered."""

from __future__ import annotations

from dataclasses import dataclass

from cse.bots import wording
from cse.bots.voices import Voice
from cse.service.messages import Message


@dataclass(frozen=True)
class Answer:
    """What a voice note is answered with.

    Attributes:
        text: The words; under the voice, where one is sent.
        voices: All that can be heard in it, the likeliest first; none where there is nothing to take apart.
        sends_voice: Whether the likeliest one is sent at once.
        worthwhile: Whether those should be told who did not ask.
    """

    text: str
    voices: tuple[Voice, ...]
    sends_voice: bool = False
    worthwhile: bool = True


def answer_to(extracted: Message, *, remembers: bool) -> Answer:
    """Decide what to say.

    Args:
        extracted: What the service's extractor answered, with the voices of all candidates.
        remembers: Whether voices are remembered in this chat.

    >>> header = {"talkers": 2, "probability": 0.9, "abstained": False, "target_present": True, "duration_s": 1.0,
    ...           "context_turns": 3, "candidates": [{"probability": 0.1}, {"probability": 0.9}]}
    >>> answer = answer_to(Message(header, (b"high", b"low", b"high")), remembers=False)
    >>> answer.text, answer.sends_voice, [voice.audio for voice in answer.voices]
    ('Very likely (90 %) the voice that continues this chat, of 2 that I hear.', True, [b'high', b'low'])
    """
    found = extracted.header
    talkers: int = found["talkers"]
    probability: float = found["probability"]
    turns: int = found["context_turns"]
    if not found["target_present"]:
        text = wording.absent(talkers, turns=turns, remembers=remembers)
        return Answer(text, _voices(extracted), worthwhile=talkers > 1)
    if talkers < 2:
        return Answer(wording.ONE_VOICE, (), worthwhile=False)
    if found["abstained"]:
        text = wording.unsure(probability, talkers, turns=turns, remembers=remembers)
        return Answer(text, _voices(extracted))
    return Answer(wording.found(probability, talkers), _voices(extracted), sends_voice=True)


def _voices(extracted: Message) -> tuple[Voice, ...]:
    """All candidates, the likeliest first; the blobs begin with the extracted voice, which is one of them."""
    found = extracted.header
    voices = [
        Voice(bytes(blob), candidate["probability"], found["duration_s"])
        for candidate, blob in zip(found["candidates"], extracted.blobs[1:], strict=True)
    ]
    return tuple(sorted(voices, key=lambda voice: -voice.probability))
