"""H-ContExt: the conversation, a sample of the voice, or both."""

from __future__ import annotations

from cse.errors import MissingCueError
from cse.models.backbones.backbone import Backbone
from cse.models.cont_ext import ContExt
from cse.models.cues.cue import Cue
from cse.models.cues.speaker import SpeakerCue
from cse.models.cues.text import TextCue
from cse.models.filterbanks import Filterbank
from cse.models.selectors.selector import Selector


class HContExt(ContExt):
    """ContExt that takes a history, an enrollment, or both (Kim, Mira et al., CSE, ICASSP 2025).

    As published, both are prompt tokens, and a missing one is zeros.

    Args:
        filterbank: Waveform to frames and back.
        backbone: Features, and the cues where it has a fusion, to masks.
        text_cue: The dialogue history as tokens.
        speaker_cue: The enrollment as a token of the same width.
        selector: Compares voices with both cues.
        sample_rate: Rate in Hz of the audio that the model was made for.

    Raises:
        ValueError: If the parts do not fit together.
    """

    text_cue: TextCue
    speaker_cue: SpeakerCue

    def __init__(
        self,
        *,
        filterbank: Filterbank,
        backbone: Backbone,
        text_cue: TextCue,
        speaker_cue: SpeakerCue,
        selector: Selector,
        sample_rate: int,
    ) -> None:
        super().__init__(
            filterbank=filterbank,
            backbone=backbone,
            text_cue=text_cue,
            speaker_cue=speaker_cue,
            selector=selector,
            sample_rate=sample_rate,
        )
        if text_cue.width != speaker_cue.width:
            raise ValueError(
                f"got a text cue of width {text_cue.width} and a speaker cue of width {speaker_cue.width}, expected "
                "the same; set `width` of the speaker cue"
            )

    def _cues(self, text: Cue | None, speaker: Cue | None) -> list[Cue]:
        """Both cues; the one that is None becomes a missing one."""
        given = text if text is not None else speaker
        if given is None:
            raise MissingCueError(
                "HContExt got neither a history nor an enrollment, expected at least one of them"
            )
        batch, device = len(given.tokens), given.tokens.device
        if text is None:
            text = Cue.missing(batch, self.text_cue.tokens, self.text_cue.width, device)
        if speaker is None:
            speaker = Cue.missing(batch, 1, self.speaker_cue.width, device)
        return super()._cues(text, speaker)
