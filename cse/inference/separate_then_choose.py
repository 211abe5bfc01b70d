"""The cascade: separate blindly, then transcribe and choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from cse.audio import Recording
from cse.encoders.voice import SpeakerEmbedding
from cse.history import Turn
from cse.inference.excerpts import excerpt
from cse.inference.method import Outcome, Runtime, ShouldStop
from cse.models.found_talkers import found_talkers
from cse.models.separator import Separator
from cse.models.talker_tracks import TalkerTracks, VoiceComparison
from cse.models.windows import separate_in_windows
from cse.selection.chooser import Chooser


class SeparateThenChoose:
    """Takes the mixture apart without looking at the cues, then asks a chooser (Kim, Mira et al., CSE: "Cascaded").

    Args:
        separator: Takes the mixture apart.
        chooser: Tells which talker is meant, by text and by voice.
        runtime: Where and how the separator runs.
        voices: Follows talkers through long recordings; None is by correlation alone.
        listen_s: How much of each voice the chooser gets to hear, so that an hour takes no longer a minute of audio
            than a minute does.
    """

    def __init__(
        self,
        *,
        separator: Separator,
        chooser: Chooser,
        runtime: Runtime | None = None,
        voices: VoiceComparison | None = None,
        listen_s: float = 90.0,
    ) -> None:
        self.runtime = runtime or Runtime()
        self.separator = separator.eval().requires_grad_(False).to(self.runtime.device)
        self.chooser = chooser
        self.voices = voices
        self.listen_s = listen_s
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
    ) -> Outcome:
        """See `Method.extract`."""
        estimates = self._separate(mixture, should_stop)
        talkers = found_talkers(estimates)
        alone = len(talkers) == 1
        voices = [mixture] if alone else [_join(estimates, outputs) for outputs in talkers]
        is_long = len(mixture) > self.listen_s * self.sample_rate
        del estimates, mixture  # what is not among the voices need not be there while the chooser works
        choice = self.chooser.choose(
            [excerpt(voice, self.sample_rate, max_s=self.listen_s) for voice in voices],
            self.sample_rate,
            history,
            enrollment=enrollment,
            target=target,
        )
        if is_long:
            heard = (
                f"long recording: the choice, and the transcripts, are by {self.listen_s:g} s of each voice: its first "
                "words, and those of stretches all over the recording"
            )
            choice = replace(choice, warnings=(*choice.warnings, heard))
        return Outcome(voices=voices, choice=choice, is_recording=alone)

    def _separate(self, mixture: np.ndarray, should_stop: ShouldStop | None) -> Tensor:
        """(S, T) on the CPU, in the precision of the mixture."""
        wave = torch.from_numpy(mixture)
        with self.runtime.inference():
            return separate_in_windows(
                self.separator,
                wave.to(self.runtime.device),
                tracks=TalkerTracks(voices=self.voices),
                dtype=wave.dtype,
                should_stop=should_stop,
                **self.runtime.windows(self.sample_rate),
            )

    def embed_voice(self, recording: Recording) -> SpeakerEmbedding:
        """See `Method.embed_voice`."""
        return self.chooser.embed_voice(recording)


def _join(estimates: Tensor, outputs: Sequence[int]) -> np.ndarray:
    """(T,) the voice of one talker, who may have been taken apart; without a copy where not."""
    voice = estimates[outputs[0]]
    for output in outputs[1:]:
        voice = voice + estimates[output]
    return voice.numpy()
