"""The Lightning module: one training step, one validation step, the optimiser and its schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchmetrics import MeanMetric

from cse.training.losses import PITNegativeSISNR


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW (amsgrad) with a linear warm-up and a cosine decay, as published.

    Attributes:
        learning_rate: Peak rate.
        weight_decay: Decoupled weight decay.
        warmup_steps: Steps of linear rise to the peak.
        total_steps: Steps after which the cosine has come down to `final_lr_ratio` of the peak.
        final_lr_ratio: Last learning rate over the peak.
    """

    total_steps: int
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 500
    final_lr_ratio: float = 0.01

    def ratio(self, step: int) -> float:
        """Learning rate of a step over the peak.

        >>> [round(OptimizerConfig(total_steps=200, warmup_steps=100).ratio(step), 3) for step in (0, 100, 200)]
        [0.01, 1.0, 0.01]
        """
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))
        return self.final_lr_ratio + (1 - self.final_lr_ratio) * 0.5 * (1 + math.cos(math.pi * progress))


class SeparationSystem(pl.LightningModule):
    """Trains a separator to return every talker of a mixture, in any order.

    Args:
        model: (B, T) mixtures -> (B, S, T) estimates.
        loss: Estimates and true talkers, both (B, S, T) -> scalar in dB.
        optimizer: Optimiser and schedule.
    """

    def __init__(self, *, model: nn.Module, loss: PITNegativeSISNR, optimizer: OptimizerConfig) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.optimizer_config = optimizer
        self._improvement = MeanMetric()

    def forward(self, mixture: Tensor) -> Tensor:
        """(B, T) -> (B, S, T)."""
        return self.model(mixture)

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

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Called by Lightning."""
        config = self.optimizer_config
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, amsgrad=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, config.ratio)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
