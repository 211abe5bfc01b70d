"""What is exported of a model: a network from waveforms, and cues that were encoded before, to waveforms."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

import torch
import torchaudio
from torch import Tensor, nn

from cse.models.cues.cue import Cue
from cse.models.filterbanks import STFTFilterbank
from cse.models.separator import Separator
from cse.models.target_extractor import TargetExtractor
from cse.ondevice.real_filterbanks import RealMelSpectrogram, RealSTFTFilterbank

Model = TypeVar("Model", Separator, TargetExtractor)


class SeparatorGraph(nn.Module):
    """A mixture (1, T) to estimates (1, S, T)."""

    def __init__(self, separator: Separator) -> None:
        super().__init__()
        self.separator = in_real_numbers(separator)

    def forward(self, mixture: Tensor) -> Tensor:
        """As `Separator.forward`."""
        estimates: Tensor = self.separator(mixture)
        return estimates


class ExtractorGraph(nn.Module):
    """A mixture (1, T) and encoded cues to voices (1, S, T) and logits (1, S + 1) of each and of nobody being meant.

    What the voices are combined to is left to whoever runs it: it needs the logits of all windows of a recording.
    """

    def __init__(self, model: TargetExtractor) -> None:
        super().__init__()
        self.model = in_real_numbers(model)

    def forward(self, mixture: Tensor, *cues: Tensor) -> tuple[Tensor, Tensor]:
        """As `TargetExtractor.separate` and `judge`, with `example_cues` of the model in their order."""
        given = dict(zip(example_cues(self.model), cues, strict=True))
        text = speaker = None
        if "text" in given:
            text = Cue.of(given["text"], given["text_mask"])
        if self.model.speaker_cue is not None:
            speaker = self.model.speaker_cue.of_embeddings(given["speaker"], given["speaker_mask"])
        voices = self.model.separate(mixture, text=text, speaker=speaker)
        return voices.waveforms, self.model.judge(voices, text=text, speaker=speaker).logits


def example_cues(model: TargetExtractor) -> Mapping[str, Tensor]:
    """The graph's inputs beside the mixture, by name: tokens (1, K, D) of the history and an embedding (1, E).

    Each has a mask, (1, K) and (1,) bool, which is False where there is none.
    """
    cues: dict[str, Tensor] = {}
    if model.text_cue is not None:
        cues["text"] = torch.randn(1, model.text_cue.tokens, model.text_cue.width)
        cues["text_mask"] = torch.ones(1, model.text_cue.tokens, dtype=torch.bool)
    if model.speaker_cue is not None:
        cues["speaker"] = torch.randn(1, model.speaker_cue.embedding_size)
        cues["speaker_mask"] = torch.ones(1, dtype=torch.bool)
    return cues


def in_real_numbers(model: Model) -> Model:
    """A copy for inference, without complex numbers anywhere."""
    copied = copy.deepcopy(model).eval().requires_grad_(False)
    if isinstance(copied.filterbank, STFTFilterbank):
        copied.filterbank = RealSTFTFilterbank(copied.filterbank)
    for name, module in list(copied.named_modules()):
        if isinstance(module, torchaudio.transforms.MelSpectrogram):
            copied.set_submodule(name, RealMelSpectrogram(module))
    return copied
