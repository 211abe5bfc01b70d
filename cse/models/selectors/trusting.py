"""The choice by words and by voice, each as far as it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cse.models.cues.cue import Cue
from cse.models.listeners.listener import Listener
from cse.models.selectors.selector import Heard, Judgement, Selector, against_nobody, own

_UNTAUGHT_NATS = 4.0  # as much as listeners that start to train ever say


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

    def hear(self, voices: Tensor, slots: Tensor | None) -> Heard:
        """Voices (B, S, T) -> words and voices, each (B, S, E)."""
        return self.listener.hear(voices), self.voice_listener.hear(voices)

    def compare(self, heard: Heard, cues: Sequence[Cue]) -> Judgement:
        """What was heard and both cues, either of which may be missing -> logits (B, S + 1)."""
        (words, voices), (text, speaker) = heard, cues
        by_text = self.listener.pair(words, text)
        by_voice = self.voice_listener.pair(voices, speaker)
        scores = self.trust(own(by_text), own(by_voice), text.present, speaker.present)
        return Judgement(against_nobody(scores), by_text)


class Trust(nn.Module):
    """How far to believe each cue: the most that it may say against the other one, learned.

    Independent evidence adds up, as log-odds. Where both cues are there, what each says for or against a voice is
    limited smoothly to a learned number of nats: the trust in it. However sure the less trusted cue is, it cannot say
    more than that, and decides only where the other one is in doubt.

    >>> sure, unsure = torch.tensor([[-9.0, 9.0]]), torch.tensor([[0.1, -0.1]])
    >>> there = torch.tensor([True])
    >>> Trust()(unsure, sure, there, there).argmax().item()
    1
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_limits = nn.Parameter(torch.full((2,), math.log(_UNTAUGHT_NATS)))

    def forward(self, by_text: Tensor, by_voice: Tensor, has_text: Tensor, has_voice: Tensor) -> Tensor:
        """Log-odds (B, S) by text and by voice, and (B,) bool which cue is there -> (B, S)."""
        text, voice = (
            _limited(said, limit)
            for said, limit in zip((by_text, by_voice), self.log_limits.exp(), strict=True)
        )
        both = (has_text & has_voice).unsqueeze(1)
        return torch.where(both, text + voice, by_text + by_voice)  # a missing cue says 0


def _limited(said: Tensor, limit: Tensor) -> Tensor:
    """Log-odds (B, S): what they have in common, and what sets each apart, both smoothly within ± the limit."""
    common = said.mean(1, keepdim=True)
    return limit * ((common / limit).tanh() + ((said - common) / limit).tanh())
