"""ContExt and H-ContExt: the target's voice, or silence."""

from __future__ import annotations

import torch
from torch import Tensor

from cse.models.target_extractor import TargetExtractor
from cse.training.losses import level_db, neg_si_snr, selection_loss
from cse.training.objectives.cues import encode_cues, mean_over, target_of
from cse.training.objectives.objective import Batch, Objective


class Extraction(Objective[TargetExtractor]):
    """Negative SI-SNR of the estimate, as published; where nobody is the target, its level instead.

    Args:
        presence_weight: Of the cross-entropy of "somebody" and "nobody", dB per nat; for models that tell.
        max_si_snr_db: A target extracted better than this no longer pulls at the weights.
    """

    def __init__(self, *, presence_weight: float = 5.0, max_si_snr_db: float = 30.0) -> None:
        super().__init__()
        self.presence_weight = presence_weight
        self.max_si_snr_db = max_si_snr_db

    def loss(self, model: TargetExtractor, batch: Batch) -> dict[str, Tensor]:
        """From a batch of `cse.training.dialogue_mixtures`."""
        output = model(batch["mixture"], **encode_cues(model, batch))
        estimate, present = output.waveforms[:, 0], batch["target"] >= 0
        voice = neg_si_snr(estimate, target_of(batch)).clamp(min=-self.max_si_snr_db)
        terms = {"neg_si_snr_db": torch.where(present, voice, level_db(estimate, batch["mixture"])).mean()}
        if output.logits.isfinite().all():
            wanted = torch.where(present, 0, -1)
            terms["presence"] = self.presence_weight * selection_loss(output.logits, wanted)
        return terms

    def measure(self, model: TargetExtractor, batch: Batch) -> dict[str, Tensor]:
        """SI-SDR improvement of the estimate, and whether it is nearest to the target among all talkers."""
        estimate = model(batch["mixture"], **encode_cues(model, batch)).waveforms[:, 0]
        target, talkers = target_of(batch), batch["talkers"]
        improvement = neg_si_snr(batch["mixture"], target) - neg_si_snr(estimate, target)
        distances = torch.stack([neg_si_snr(estimate, talker) for talker in talkers.unbind(1)], dim=1)
        right = (distances.argmin(1) == batch["target"]).float()
        return mean_over(batch["target"] >= 0, si_sdri_db=improvement, selection_accuracy=right)
