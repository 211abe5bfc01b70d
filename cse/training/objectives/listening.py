"""Training the listeners by themselves, on voices that a separator might have left."""

from __future__ import annotations

import torch
from torch import Tensor

from cse.models.selectors.selector import Judgement
from cse.models.target_extractor import TargetExtractor, Voices
from cse.training.losses import contrastive_loss, neg_si_snr, selection_loss
from cse.training.objectives.cues import encode_cues, mean_over, target_of
from cse.training.objectives.objective import Batch, Objective


class Listening(Objective[TargetExtractor]):
    """Which of the voices continues the history, without separating: a hundred times as many voices a second.

    An imperfect separation is made up: each true talker with a leak of the mixture. What comes out is a start for
    the training of the whole model.

    Args:
        leak_db: Range of the leak's level against the talker, in dB.
        contrastive_weight: Of the contrast with all voices and histories of the batch.
    """

    def __init__(
        self, *, leak_db: tuple[float, float] = (-30.0, -5.0), contrastive_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.leak_db = leak_db
        self.contrastive_weight = contrastive_weight

    def loss(self, model: TargetExtractor, batch: Batch) -> dict[str, Tensor]:
        """From a batch of `cse.training.dialogue_mixtures`."""
        judgement = self._judge(model, batch)
        terms = {"selection": selection_loss(judgement.logits, batch["target"])}
        if judgement.pairings is not None:
            contrast = contrastive_loss(judgement.pairings, batch["target"])
            terms["contrastive"] = self.contrastive_weight * contrast
        return terms

    def measure(self, model: TargetExtractor, batch: Batch) -> dict[str, Tensor]:
        """Whether the right voice is chosen, and by how many dB that one is above the mixture."""
        target = target_of(batch)
        judgement = self._judge(model, batch)
        chosen = judgement.logits[:, :-1].argmax(1)
        voice = self._leaky(batch)[torch.arange(len(chosen)), chosen]
        improvement = neg_si_snr(batch["mixture"], target) - neg_si_snr(voice, target)
        right = (chosen == batch["target"]).float()
        return mean_over(batch["target"] >= 0, si_sdri_db=improvement, selection_accuracy=right)

    def _judge(self, model: TargetExtractor, batch: Batch) -> Judgement:
        return model.judge(Voices(self._leaky(batch)), **encode_cues(model, batch))

    def _leaky(self, batch: Batch) -> Tensor:
        """(B, S, T) talkers, each with the others a random number of dB below it; the middle in evaluation."""
        talkers: Tensor = batch["talkers"]
        others = talkers.sum(1, keepdim=True) - talkers
        low, high = self.leak_db
        share = torch.rand(talkers.shape[:2], device=talkers.device) if self.training else 0.5
        leak_db = torch.as_tensor(low + (high - low) * share, device=talkers.device)
        ratio = talkers.square().mean(-1) / (others.square().mean(-1) + 1e-8)
        gain = ratio.sqrt() * 10 ** (leak_db / 20)
        return talkers + gain.unsqueeze(-1) * others
