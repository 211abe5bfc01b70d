"""The choice by words and by voice, each as far as it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cse.models.cues.cue import Cue
from cse.models.listeners.listener import Listener
from cse.models.selectors.selector import Judgement, Selector, against_nobody, own


class TrustingSelector(Selector):
    """Adds up what two listeners say, weighed so that a voice sample of somebody else does not beat a clear history.

    Args:
        listener: Compares a voice with the history.
        voice_listener: Compares a voice with the enrollment.
    """

    def __init__(self, *, listener: Listener, voice_listener: Listener) -> None:
        super().__init__()
        self.listener = listener
        self.voice_listener = voice_listener
        self.trust = Trust()

    def forward(self, voices: Tensor, cues: Sequence[Cue], *, prompt: Tensor | None = None) -> Judgement:
        """Voices (B, S, T) and both cues, either of which may be missing -> logits (B, S + 1)."""
        text, speaker = cues
        by_text = self.listener(voices, text)
        by_voice = self.voice_listener(voices, speaker)
        scores = self.trust(own(by_text), own(by_voice), text.present, speaker.present)
        return Judgement(against_nobody(scores), by_text)


_GAIN = (
    20  # so that a short training at the rate of the other weights moves the trust from one end to the other
)


class Trust(nn.Module):
    """How far to believe each cue, from how clearly it points at one of the voices.

    Weighs both listeners' log-odds by factors between 0 and 2 that a small network reads off their order
    statistics, so the order of the voices makes no difference. Starts from 1 and 1: independent evidence adds up.

    >>> there = torch.tensor([True] * 3)
    >>> Trust()(torch.randn(3, 2), torch.randn(3, 2), there, there).shape
    torch.Size([3, 2])
    """

    def __init__(self) -> None:
        super().__init__()
        last = nn.Linear(16, 2)
        nn.init.normal_(last.weight, std=0.01 / _GAIN)
        nn.init.zeros_(last.bias)
        self.weigh = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), last)

    def forward(self, by_text: Tensor, by_voice: Tensor, has_text: Tensor, has_voice: Tensor) -> Tensor:
        """Log-odds (B, S) by text and by voice, and (B,) bool which cue is there -> (B, S)."""
        evidence = torch.cat(
            [
                by_text.topk(2, dim=1).values,
                by_voice.topk(2, dim=1).values,
                by_voice.gather(
                    1, by_text.argmax(1, keepdim=True)
                ),  # what the other cue thinks of the favourite
                by_text.gather(1, by_voice.argmax(1, keepdim=True)),
                torch.stack([has_text, has_voice], dim=1).to(by_text.dtype),
            ],
            dim=1,
        )
        text, voice = (
            (2 * (_GAIN * self.weigh(evidence.clamp(-10, 10) / 4)).sigmoid()).unsqueeze(-1).unbind(1)
        )
        return text * by_text + voice * by_voice
