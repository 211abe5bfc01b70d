"""ContExt: the one voice that continues the conversation, by one mask."""

from __future__ import annotations

import torch

from cse.models.backbones.backbone import Backbone
from cse.models.cues.speaker import SpeakerCue
from cse.models.cues.text import TextCue
from cse.models.filterbanks import Filterbank
from cse.models.selectors.first import FirstVoice
from cse.models.selectors.selector import Judgement, Selector
from cse.models.target_extractor import Estimates, TargetExtractor, Voices


class ContExt(TargetExtractor):
    """Masks the talker who continues the history (Kim, Mira et al., CSE, ICASSP 2025).

    As published, the backbone has a mask for every talker and the first is the target's (`FirstVoice`). With a
    selector that listens, every mask's voice is heard, and the mask is their mean, weighed by how likely each is meant;
    the weight of "nobody" belongs to silence. So the choice is learned from the extraction loss alone.

    Args:
        filterbank: Waveform to frames and back.
        backbone: Features, and the history where it has a fusion, to masks.
        text_cue: The dialogue history as tokens.
        selector: Compares voices with the history.
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
        speaker_cue: SpeakerCue | None = None,
    ) -> None:
        super().__init__(
            filterbank=filterbank,
            backbone=backbone,
            text_cue=text_cue,
            speaker_cue=speaker_cue,
            selector=selector,
            sample_rate=sample_rate,
        )

    @property
    def masks(self) -> int:
        """One, where nothing is chosen among more."""
        return 1 if isinstance(self.selector, FirstVoice) else self.talkers

    def combine(self, voices: Voices, judgement: Judgement) -> Estimates:
        """The likely voice (B, 1, T), silent where nobody is meant; logits (B, 2) of somebody and of nobody."""
        logits = judgement.logits
        shares = logits.softmax(1)[:, :-1]
        waveform = (shares.unsqueeze(-1) * voices.waveforms).sum(1, keepdim=True)
        somebody, nobody = logits[:, :-1].logsumexp(1, keepdim=True), logits[:, -1:]
        return Estimates(waveform, torch.cat([somebody, nobody], dim=1), judgement.pairings)
