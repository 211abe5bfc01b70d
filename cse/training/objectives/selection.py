"""ContSep: separate, and choose."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from cse.models.target_extractor import TargetExtractor
from cse.training.losses import contrastive_loss, neg_si_snr, pit_neg_si_snr, selection_loss
from cse.training.objectives.cues import encode_cues, mean_over, place_in_batch, target_of
from cse.training.objectives.objective import Batch, Objective


class Selection(Objective[TargetExtractor]):
    """PIT SI-SNR plus the cross-entropy of the choice, as published.

    The right estimate is the one that the best assignment gives to the target.

    Args:
        selection_weight: Of the cross-entropy, dB per nat.
        contrastive_weight: Of the contrast with all voices and histories of the batch, dB per nat; 0 as published.
        max_si_snr_db: A mixture separated better than this no longer pulls at the weights.
    """

    takes_silent_talkers: ClassVar[bool] = False

    def __init__(
        self,
        *,
        selection_weight: float = 5.0,
        contrastive_weight: float = 0.0,
        max_si_snr_db: float = 30.0,
    ) -> None:
        super().__init__()
        self.selection_weight = selection_weight
        self.contrastive_weight = contrastive_weight
        self.max_si_snr_db = max_si_snr_db

    def loss(self, model: TargetExtractor, batch: Batch) -> dict[str, Tensor]:
        """From a batch of `cse.training.dialogue_mixtures`."""
        cues = encode_cues(model, batch)
        output = model(batch["mixture"], **cues)
        per_mixture, assigned = pit_neg_si_snr(output.waveforms, batch["talkers"])
        wanted = wanted_estimate(assigned, batch["target"])
        terms = {
            "neg_si_snr_db": per_mixture.clamp(min=-self.max_si_snr_db).mean(),
            "selection": self.selection_weight * selection_loss(output.logits, wanted),
        }
        if self.contrastive_weight and output.pairings is not None:
            told = torch.where(cues["text"].present, wanted, -1)
            place = place_in_batch(told, output.pairings.shape[1])
            contrast = contrastive_loss(output.pairings.flatten(0, 1), place)
            terms["contrastive"] = self.contrastive_weight * contrast
        return terms

    def measure(self, model: TargetExtractor, batch: Batch) -> dict[str, Tensor]:
        """SI-SDR improvement of the estimate assigned to the target, and whether it was chosen."""
        output = model(batch["mixture"], **encode_cues(model, batch))
        _, assigned = pit_neg_si_snr(output.waveforms, batch["talkers"])
        wanted = wanted_estimate(assigned, batch["target"])
        best = output.waveforms[torch.arange(len(wanted)), wanted.clamp(min=0)]
        target = target_of(batch)
        improvement = neg_si_snr(batch["mixture"], target) - neg_si_snr(best, target)
        right = (output.logits[:, :-1].argmax(1) == wanted).float()
        return mean_over(batch["target"] >= 0, si_sdri_db=improvement, selection_accuracy=right)


def wanted_estimate(assigned: Tensor, target: Tensor) -> Tensor:
    """(B, S) estimate of each talker and (B,) index of the target -> (B,) estimate of the target, −1 where none is."""
    found = assigned.gather(1, target.clamp(min=0).unsqueeze(1)).squeeze(1)
    return torch.where(target < 0, -1, found)
