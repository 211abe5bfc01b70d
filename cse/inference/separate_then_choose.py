"""The cascade with a separator in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cse.inference.cascade import Cascade
from cse.inference.method import Runtime, ShouldStop
from cse.models.separator import Separator
from cse.models.talker_tracks import TalkerTracks, VoiceComparison
from cse.models.windows import separate_in_windows
from cse.selection.chooser import Chooser


class SeparateThenChoose(Cascade):
    """Takes the mixture apart without looking at the cues, then asks a chooser (Kim, Mira et al., CSE: "Cascaded").

    Args:
        separator: Takes the mixture apart.
        chooser: Tells which talker is meant, by text and by voice.
        runtime: Where and how the separator runs.
        voices: Follows talkers through long recordings; None is by correlation alone.
        stretches: How many times as long the mixture is made before it is separated; a mean is taken over several.
        listen_s: How much of each voice the chooser gets to hear.
    """

    chooser: Chooser

    def __init__(
        self,
        *,
        separator: Separator,
        chooser: Chooser,
        runtime: Runtime | None = None,
        voices: VoiceComparison | None = None,
        stretches: Sequence[float] = (1.0,),
        listen_s: float = 90.0,
    ) -> None:
        super().__init__(
            chooser=chooser,
            sample_rate=separator.sample_rate,
            talkers=separator.talkers,
            listen_s=listen_s,
        )
        self.runtime = runtime or Runtime()
        self.separator = separator.eval().requires_grad_(False).to(self.runtime.device)
        self.voices = voices
        self.stretches = tuple(stretches)

    def separate(
        self, mixture: np.ndarray, should_stop: ShouldStop | None, *, quick: bool = False
    ) -> np.ndarray:
        """See `Cascade.separate`."""
        wave = torch.from_numpy(mixture)
        with self.runtime.inference():
            estimates = separate_in_windows(
                self.separator,
                wave.to(self.runtime.device),
                sample_rate=self.sample_rate,
                tracks=TalkerTracks(sample_rate=self.sample_rate, voices=self.voices),
                stretches=(1.0,) if quick else self.stretches,
                dtype=wave.dtype,
                should_stop=should_stop,
                **self.runtime.windows(self.sample_rate),
            )
        return estimates.numpy()
