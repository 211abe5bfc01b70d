"""What all models have in common that are told by cues which talker is meant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from cse.errors import MissingCueError
from cse.models.backbones.backbone import Backbone
from cse.models.cues.cue import Cue
from cse.models.cues.speaker import SpeakerCue
from cse.models.cues.text import TextCue
from cse.models.filterbanks import Filterbank
from cse.models.selectors.selector import Heard, Judgement, Selector


@dataclass(frozen=True)
class Estimates:
    """What a model makes of a mixture.

    Attributes:
        waveforms: (B, S, T) float: S = 1 for a model with one mask, otherwise one for every talker.
        logits: (B, S + 1) float: log-odds, up to a common constant, of each estimate being the wanted voice, and at
            last of nobody being it (minus infinity for a model that cannot tell).
        pairings: (B, S', B) float: see `Judgement`.
    """

    waveforms: Tensor
    logits: Tensor
    pairings: Tensor | None = None


@dataclass(frozen=True)
class Voices:
    """What the masks let through.

    Attributes:
        waveforms: (B, S, T) float.
        slots: (B, S) what the selector knows of each by its mask; None where it goes by nothing but the waveforms.
    """

    waveforms: Tensor
    slots: Tensor | None = None


class TargetExtractor(nn.Module, ABC):
    """Listens to a mixture with cues in mind: encode, mask under the cues, apply, decode.

    Args:
        filterbank: Waveform to frames and back (`cse.models.filterbanks`).
        backbone: Features and cue tokens to masks (`cse.models.backbones`).
        text_cue: The dialogue history as tokens; None for a model that does not read.
        speaker_cue: The enrollment as a token; None for a model that knows no voices.
        selector: Says which voice the cues mean.
        sample_rate: Rate in Hz of the audio that the model was made for.

    Raises:
        ValueError: If the parts disagree about the features a frame or the width of the cues.
    """

    def __init__(
        self,
        *,
        filterbank: Filterbank,
        backbone: Backbone,
        text_cue: TextCue | None,
        speaker_cue: SpeakerCue | None,
        selector: Selector,
        sample_rate: int,
    ) -> None:
        super().__init__()
        if filterbank.channels != backbone.channels:
            raise ValueError(
                f"the filterbank has {filterbank.channels} channels, the backbone {backbone.channels}: "
                "expected the same number; set `channels` of both alike"
            )
        for cue in (text_cue, speaker_cue):
            if cue is not None and backbone.cue_width not in (None, cue.width):
                raise ValueError(
                    f"the {type(cue).__name__} has tokens of width {cue.width}, the backbone takes "
                    f"{backbone.cue_width}: expected the same; set `cue_width` of the backbone to it"
                )
        self.filterbank = filterbank
        self.backbone = backbone
        self.text_cue = text_cue
        self.speaker_cue = speaker_cue
        self.selector = selector
        self.sample_rate = sample_rate

    @property
    def talkers(self) -> int:
        """Voices in a mixture that the model was made for."""
        return self.backbone.talkers

    def forward(self, mixture: Tensor, *, text: Cue | None = None, speaker: Cue | None = None) -> Estimates:
        """Extract.

        Args:
            mixture: (B, T) float waveforms at `sample_rate`, any level.
            text: What `text_cue` makes of the histories, (B, K, D).
            speaker: What `speaker_cue` makes of the enrollments, (B, 1, D).

        Returns:
            Estimates of arbitrary level: training by SI-SDR does not fix it.

        Raises:
            MissingCueError: If the model needs a cue that is None, or a cue is not of its width.
        """
        voices = self.separate(mixture, text=text, speaker=speaker)
        return self.combine(voices, self.judge(voices, text=text, speaker=speaker))

    def separate(self, mixture: Tensor, *, text: Cue | None = None, speaker: Cue | None = None) -> Voices:
        """Mixture (B, T) and cues -> one voice a mask."""
        representation = self.filterbank.encode(mixture)
        features = self.filterbank.features(representation)
        masks, prompt = self.backbone.masks_and_prompts(
            features, Cue.join(self._cues(text, speaker)), masks=self.masks
        )
        voices = self.filterbank.apply_masks(masks, representation)
        slots = None if prompt is None else self.selector.slot_scores(prompt)
        return Voices(self.filterbank.decode(voices, mixture.shape[-1]), slots)

    def judge(self, voices: Voices, *, text: Cue | None = None, speaker: Cue | None = None) -> Judgement:
        """Say which of the voices the cues mean."""
        cues = self._cues(text, speaker)
        judgement: Judgement = self.selector(voices.waveforms, cues, slots=voices.slots)
        return judgement

    def hear(self, voices: Voices) -> Heard:
        """The first half of `judge`, which no cue enters: once for many histories."""
        return self.selector.hear(voices.waveforms, voices.slots)

    def compare(self, heard: Heard, *, text: Cue | None = None, speaker: Cue | None = None) -> Judgement:
        """The other half of `judge`."""
        return self.selector.compare(heard, self._cues(text, speaker))

    @abstractmethod
    def combine(self, voices: Voices, judgement: Judgement) -> Estimates:
        """Make of the voices what the model returns."""

    @property
    def masks(self) -> int:
        """How many of the backbone's masks are asked for."""
        return self.talkers

    def _cues(self, text: Cue | None, speaker: Cue | None) -> list[Cue]:
        """The cues that the model takes, checked, those of the history first."""
        return [
            self._check(cue, encoder, name)
            for cue, encoder, name in (
                (text, self.text_cue, "history"),
                (speaker, self.speaker_cue, "enrollment"),
            )
            if encoder is not None
        ]

    def _check(self, cue: Cue | None, encoder: TextCue | SpeakerCue, name: str) -> Cue:
        if cue is None:
            raise MissingCueError(
                f"{type(self).__name__} got no {name}, expected one: it cannot choose without"
            )
        if cue.tokens.shape[-1] != encoder.width:
            raise MissingCueError(
                f"{type(self).__name__} got a {name} of width {cue.tokens.shape[-1]}, expected {encoder.width}: encode "
                "it with the model's own cue encoder"
            )
        return cue
