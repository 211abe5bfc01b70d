"""From a batch of mixtures with dialogues to what models under cues take."""

from __future__ import annotations

import torch
from torch import Tensor

from cse.models.cues.cue import Cue
from cse.models.target_extractor import TargetExtractor
from cse.training.objectives.objective import Batch


def encode_cues(model: TargetExtractor, batch: Batch) -> dict[str, Cue]:
    """The cues that the model takes, by the names of its arguments."""
    cues: dict[str, Cue] = {}
    if model.text_cue is not None:
        cues["text"] = model.text_cue(batch["history"], batch["next_speaker"])
    if model.speaker_cue is not None:
        cues["speaker"] = model.speaker_cue(batch["enrollment"])
    return cues


def target_of(batch: Batch) -> Tensor:
    """(B, T) waveforms of the targets; of the first talker where nobody is the target."""
    talkers: Tensor = batch["talkers"]
    return talkers[torch.arange(len(talkers)), batch["target"].clamp(min=0)]


def place_in_batch(voice: Tensor, voices: int) -> Tensor:
    """(B,) index of a voice of each mixture -> (B,) its index among all B · S voices; −1 stays.

    >>> place_in_batch(torch.tensor([1, -1, 0]), 2).tolist()
    [1, -1, 4]
    """
    return torch.where(voice < 0, -1, torch.arange(len(voice), device=voice.device) * voices + voice)


def mean_over(there: Tensor, **results: Tensor) -> dict[str, Tensor]:
    """Results (B,) by name, NaN for items that have none."""
    return {name: torch.where(there, result, torch.nan) for name, result in results.items()}
