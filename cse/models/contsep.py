"""ContSep: separate with the conversation in mind, and say which estimate continues it."""

from __future__ import annotations

from cse.models.backbones.backbone import Backbone
from cse.models.cues.text import TextCue
from cse.models.filterbanks import Filterbank
from cse.models.selectors.selector import Judgement, Selector
from cse.models.target_extractor import Estimates, TargetExtractor, Voices


class ContSep(TargetExtractor):
    """All talkers of a mixture, and which of them continues the history (Kim, Mira et al., CSE, ICASSP 2025).

    Args:
        filterbank: Waveform to frames and back.
        backbone: Features, and the history where it has a fusion, to a mask for every talker.
        text_cue: The dialogue history as tokens.
        selector: Scores the estimates: by listening to them, or, as published, by their place.
        sample_rate: Rate in Hz of the audio that the model was made for.
    """

    def __init__(
        self,
        *,
        filterbank: Filterbank,
        backbone: Backbone,
        text_cue: TextCue,
        selector: Selector,
        sample_rate: int,
    ) -> None:
        super().__init__(
            filterbank=filterbank,
            backbone=backbone,
            text_cue=text_cue,
            speaker_cue=None,
            selector=selector,
            sample_rate=sample_rate,
        )

    def combine(self, voices: Voices, judgement: Judgement) -> Estimates:
        """All voices (B, S, T) as they are, with logits (B, S + 1)."""
        return Estimates(voices.waveforms, judgement.logits, judgement.pairings)
