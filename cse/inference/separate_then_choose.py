"""The cascade: separate blindly, then transcribe and choose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cse.audio import Recording
from cse.encoders.voice import SpeakerEmbedding
from cse.history import Turn
from cse.inference.method import Runtime, ShouldStop
from cse.models.separator import Separator
from cse.models.windows import separate_in_windows
from cse.selection.calibration import Choice
from cse.selection.chooser import Chooser


class SeparateThenChoose:
    """Takes the mixture apart without looking at the cues, then asks a chooser (Kim, Mira et al., CSE: "Cascaded").

    Args:
        separator: Takes the mixture apart.
        chooser: Tells which talker is meant, by text and by voice.
        runtime: Where and how the separator runs.
    """

    def __init__(self, *, separator: Separator, chooser: Chooser, runtime: Runtime | None = None) -> None:
        self.runtime = runtime or Runtime()
        self.separator = separator.eval().requires_grad_(False).to(self.runtime.device)
        self.chooser = chooser
        self.sample_rate = separator.sample_rate
        self.talkers = separator.talkers

    def extract(
        self,
        mixture: np.ndarray,
        history: Sequence[Turn] | None,
        *,
        enrollment: Recording | SpeakerEmbedding | None,
        target: str | None,
        should_stop: ShouldStop | None,
    ) -> tuple[np.ndarray, Choice]:
        """See `Method.extract`."""
        with self.runtime.inference():
            estimates = separate_in_windows(
                self.separator,
                torch.from_numpy(mixture).to(self.runtime.device),
                should_stop=should_stop,
                **self.runtime.windows(self.sample_rate),
            ).numpy()
        choice = self.chooser.choose(
            list(estimates), self.sample_rate, history, enrollment=enrollment, target=target
        )
        return estimates, choice

    def embed_voice(self, recording: Recording) -> SpeakerEmbedding:
        """See `Method.embed_voice`."""
        return self.chooser.embed_voice(recording)
