"""The Lightning module: one training step, one validation step, the optimiser and its schedule."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from cse.training.losses import PITNegativeSISNR


class SeparationSystem(pl.LightningModule):
    """Trains a separator to return every talker of a mixture, in any order.

    Args:
        model: (B, T) mixtures -> (B, S, T) estimates.
        loss: Estimates and true talkers, both (B, S, T) -> scalar in dB.
        learning_rate: Peak rate of AdamW.
        weight_decay: Of AdamW.
        warmup_steps: Steps of linear rise to the peak.
        total_steps: Steps after which the cosine has come down to `final_lr_ratio` of the peak.
        final_lr_ratio: See `total_steps`.
        compile_model: Let torch.compile fuse the network's operations (worth it on a GPU).
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        loss: PITNegativeSISNR,
        learning_rate: float,
        total_steps: int,
        weight_decay: float = 0.01,
        warmup_steps: int = 500,
        final_lr_ratio: float = 0.01,
        compile_model: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.final_lr_ratio = final_lr_ratio
        self._forward = torch.compile(model) if compile_model else model
        self._improvement = MeanMetric()

    def forward(self, mixture: Tensor) -> Tensor:
        """(B, T) -> (B, S, T)."""
        return self._forward(mixture)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Loss of one batch of `mixture` (B, T) and `talkers` (B, S, T)."""
        loss = self.loss(self(batch["mixture"]), batch["talkers"])
        self.log("train/loss_db", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        """Collect SI-SDR improvement over the mixture, every mixture with the same weight whatever its process."""
        mixture, talkers = batch["mixture"], batch["talkers"]
        for item in range(len(mixture)):
            truth = talkers[item : item + 1]
            unprocessed = mixture[item].expand_as(truth)
            estimates = self(mixture[item : item + 1])
            self._improvement.update(self.loss(unprocessed, truth) - self.loss(estimates, truth))

    def on_validation_epoch_end(self) -> None:
        """Log the mean improvement over all processes."""
        self.log("validation/si_sdri_db", self._improvement.compute(), prog_bar=True)
        self._improvement.reset()

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW (amsgrad), warm-up, cosine: the published recipe."""
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, amsgrad=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._lr_ratio)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _lr_ratio(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))
        return self.final_lr_ratio + (1 - self.final_lr_ratio) * 0.5 * (1 + math.cos(math.pi * progress))
