"""The cascade: separate blindly, then ask who is meant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from cse.audio import Recording
from cse.encoders.voice import SpeakerEmbedding
from cse.history import Turn
from cse.inference.excerpts import excerpt
from cse.inference.method import Outcome, ShouldStop
from cse.models.found_talkers import found_talkers
from cse.selection.calibration import Choice


class Chooses(Protocol):
    """Tells which of several voices is meant; see `cse.selection.chooser.Chooser`."""

    def choose(
        self,
        candidates: Sequence[np.ndarray],
        sample_rate: int,
        history: Sequence[Turn] | None = None,
        *,
        enrollment: Recording | SpeakerEmbedding | None = None,
        target: str | None = None,
    ) -> Choice:
        """Choose among voices (T,) float32 at `sample_rate` Hz."""
        ...

    def embed_voice(self, recording: Recording) -> SpeakerEmbedding:
        """How the one voice in a recording sounds."""
        ...


class Cascade(ABC):
    """Takes the mixture apart without looking at the cues, then asks a chooser (Kim, Mira et al., CSE: "Cascaded").

    Args:
        chooser: Tells which talker is meant, by text and by voice.
        sample_rate: Of mixtures and voices, in Hz.
        talkers: How many voices in a mixture the separation was made for.
        listen_s: How much of each voice the chooser gets to hear, so that an hour takes no longer a minute of audio
            than a minute does.
    """

    def __init__(self, *, chooser: Chooses, sample_rate: int, talkers: int, listen_s: float = 90.0) -> None:
        self.chooser = chooser
        self.sample_rate = sample_rate
        self.talkers = talkers
        self.listen_s = listen_s

    @abstractmethod
    def separate(
        self, mixture: np.ndarray, should_stop: ShouldStop | None, *, quick: bool = False
    ) -> np.ndarray:
        """(T,) to (S, T), at their level in the mixture and in its precision; in a single pass where `quick`."""

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
        estimates = self.separate(mixture, should_stop)
        talkers = found_talkers(estimates, self.sample_rate)
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

    def embed_voice(self, recording: Recording) -> SpeakerEmbedding:
        """See `Method.embed_voice`."""
        return self.chooser.embed_voice(recording)


def _join(estimates: np.ndarray, outputs: Sequence[int]) -> np.ndarray:
    """(T,) the voice of one talker, who may have been taken apart; without a copy where not."""
    voice: np.ndarray = estimates[outputs[0]]
    for output in outputs[1:]:
        voice = voice + estimates[output]
    return voice
