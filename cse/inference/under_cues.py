"""Models that are told while they listen: ContSep, ContExt, H-ContExt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cse.audio import Recording, resample
from cse.encoders.voice import SpeakerEmbedding, VoiceEncoder
from cse.errors import ConfigError, MissingCueError
from cse.history import Turn
from cse.inference.judged import choice_of
from cse.inference.method import Outcome, Runtime, ShouldStop
from cse.models.cues.cue import Cue
from cse.models.cues.frozen_speaker import FrozenSpeakerEncoder
from cse.models.selectors.selector import Heard
from cse.models.talker_tracks import NotedTracks
from cse.models.target_extractor import TargetExtractor, Voices
from cse.models.windows import match_levels, separate_in_windows
from cse.selection.calibration import Calibration


class UnderCues:
    """Gives the cues to the model, window by window, and lets it judge the voices as a whole.

    Args:
        model: Extracts under cues.
        runtime: Where and how it runs.
        abstain_below: A choice of lower probability is not to be relied on.
        attribute: Whether each choice by history says which turns it owes to, at the price of comparing the
            voices once more a turn.
    """

    def __init__(
        self,
        *,
        model: TargetExtractor,
        runtime: Runtime | None = None,
        abstain_below: float = 0.5,
        attribute: bool = True,
    ) -> None:
        self.runtime = runtime or Runtime()
        self.model = model.eval().requires_grad_(False).to(self.runtime.device)
        self.sample_rate = model.sample_rate
        self.talkers = model.talkers
        self.abstain_below = abstain_below
        self.attribute = attribute

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
        warnings = self._check(history, enrollment)
        with self.runtime.inference():
            speaker = self._speaker(enrollment)
            cues = self._cues(history or [], target, speaker)
            tracks = NotedTracks(sample_rate=self.sample_rate)
            slots: list[Tensor] = []

            def separate(window: Tensor) -> Tensor:
                voices = self.model.separate(window, **cues)
                if voices.slots is not None:
                    slots.append(voices.slots)
                return voices.waveforms

            wave = torch.from_numpy(mixture)
            separated = separate_in_windows(
                separate,
                wave.to(self.runtime.device),
                sample_rate=self.sample_rate,
                tracks=tracks,
                should_stop=should_stop,
                **self.runtime.windows(self.sample_rate),
            )
            voices = Voices(separated.to(self.runtime.device).unsqueeze(0), _followed(slots, tracks.orders))
            heard = self.model.hear(voices)
            judgement = self.model.compare(heard, **cues)
            estimates = self.model.combine(voices, judgement)
            levelled = match_levels(estimates.waveforms[0].float().cpu(), wave)
            choice = choice_of(
                estimates.logits[0].double().cpu().numpy(),
                abstain_below=self.abstain_below,
                warnings=warnings,
            )
            attribution = self._attribute(heard, history, target, speaker, judgement.logits[0])
        return Outcome(voices=list(levelled.numpy()), choice=replace(choice, turn_attribution=attribution))

    def _check(
        self, history: Sequence[Turn] | None, enrollment: Recording | SpeakerEmbedding | None
    ) -> list[str]:
        """Refuse what the model can do nothing with; warn of what it will not use."""
        model = self.model
        if model.speaker_cue is None and history is None:
            raise MissingCueError(
                f"this {type(model).__name__} chooses by the history alone, and got none: expected the turns before "
                "the recording; for an enrollment take an H-ContExt or a separator"
            )
        if model.speaker_cue is None and enrollment is not None:
            return [f"this {type(model).__name__} takes no enrollment: it was not used"]
        return []

    def embed_voice(self, recording: Recording) -> SpeakerEmbedding:
        """See `Method.embed_voice`."""
        encoder = self._voice_encoder()
        return SpeakerEmbedding.of(
            recording.waveform,
            recording.sample_rate,
            encoder=encoder,
            same_above=Calibration().same_voice_above(encoder.name),
        )

    def _voice_encoder(self) -> VoiceEncoder:
        """The one whose embeddings the model's speaker cue is made of."""
        cue = self.model.speaker_cue
        if cue is None or not isinstance(cue.encoder, FrozenSpeakerEncoder):
            has = "no speaker encoder" if cue is None else "a speaker encoder of its own"
            raise ConfigError(
                f"this {type(self.model).__name__} has {has}, expected a pretrained one; give it no speaker embedding "
                "and no voice book, or take another model"
            )
        return cue.encoder.load()

    def _speaker(self, enrollment: Recording | SpeakerEmbedding | None) -> Cue | None:
        speaker_cue = self.model.speaker_cue
        if speaker_cue is None:
            return None
        if enrollment is None:
            return speaker_cue([None])
        if isinstance(enrollment, SpeakerEmbedding):
            vector = torch.from_numpy(enrollment.vector_for(self._voice_encoder()))
            return speaker_cue.of_embeddings(vector.to(speaker_cue.projection.weight).unsqueeze(0))
        voice = resample(enrollment.waveform, enrollment.sample_rate, speaker_cue.sample_rate)
        return speaker_cue([torch.from_numpy(voice).to(self.runtime.device)])

    def _cues(self, history: Sequence[Turn], target: str | None, speaker: Cue | None) -> dict[str, Any]:
        cues: dict[str, Any] = {}
        if self.model.text_cue is not None:
            cues["text"] = self.model.text_cue([history], [target])
        if speaker is not None:
            cues["speaker"] = speaker
        return cues

    def _attribute(
        self,
        heard: Heard,
        history: Sequence[Turn] | None,
        target: str | None,
        speaker: Cue | None,
        logits: Tensor,
    ) -> list[float] | None:
        """By how much the log-odds (nats) of the likeliest voice against all else fall without each turn."""
        text_cue = self.model.text_cue
        if not history or text_cue is None or not self.attribute or not logits.isfinite().all():
            return None
        index = int(logits[:-1].argmax())
        attribution = [0.0] * len(history)
        for position in range(max(0, len(history) - text_cue.pooling.max_turns), len(history)):
            others = [*history[:position], *history[position + 1 :]]
            without = self.model.compare(heard, **self._cues(others, target, speaker)).logits[0]
            attribution[position] = _log_odds(logits, index) - _log_odds(without, index)
        return attribution


def _followed(slots: Sequence[Tensor], orders: Sequence[list[int]]) -> Tensor | None:
    """Scores (B, S) of the masks of each window, if there are any -> (B, S) of the talkers: the mean of theirs."""
    if not slots:
        return None
    return torch.stack([scores[:, order] for scores, order in zip(slots, orders, strict=True)]).mean(0)


def _log_odds(logits: Tensor, index: int) -> float:
    others = torch.cat([logits[:index], logits[index + 1 :]])
    return float(logits[index] - others.logsumexp(0))
