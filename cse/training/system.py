"""The Lightning module: one training step, one validation step, the optimiser and its schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchmetrics import MeanMetric

from cse.training.objectives.objective import Batch, Objective
from simulate.checks import check_least, check_share


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW with a linear warm-up and a cosine decay, as published.

    Attributes:
        learning_rate: Peak rate.
        weight_decay: Decoupled weight decay.
        warmup_steps: Steps of linear rise to the peak.
        total_steps: Steps after which the cosine has come down to `final_lr_ratio` of the peak.
        final_lr_ratio: Last learning rate over the peak.
        amsgrad: Divide by the largest second moment so far (Reddi et al., 2018).

    Raises:
        ConfigError: A value outside of what is named here.
    """

    total_steps: int
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 500
    final_lr_ratio: float = 0.01
    amsgrad: bool = True

    def __post_init__(self) -> None:
        check_least("optimizer.total_steps", self.total_steps, 1)
        for name in ("learning_rate", "weight_decay", "warmup_steps"):
            check_least(f"optimizer.{name}", getattr(self, name), 0)
        check_share("optimizer.final_lr_ratio", self.final_lr_ratio)

    def ratio(self, step: int) -> float:
        """Learning rate of a step over the peak.

        >>> [round(OptimizerConfig(total_steps=200, warmup_steps=100).ratio(step), 3) for step in (0, 100, 200)]
        [0.01, 1.0, 0.01]
        """
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))
        return self.final_lr_ratio + (1 - self.final_lr_ratio) * 0.5 * (1 + math.cos(math.pi * progress))


class TrainingSystem(pl.LightningModule):
    """Trains a model for an objective.

    Args:
        model: What is trained.
        objective: Loss and measures.
        optimizer: Optimiser and schedule.

    Attributes:
        has_trained: Whether any training was left to do.
        validated_step: The steps that the weights of the last validation had behind them; None before the first one.
    """

    def __init__(self, *, model: nn.Module, objective: Objective[Any], optimizer: OptimizerConfig) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.optimizer_config = optimizer
        self.has_trained = False
        self.validated_step: int | None = None
        self._results = {name: MeanMetric() for name in objective.results}
        for name, metric in self._results.items():
            self.add_module(f"_{name}", metric)  # moves with the module, and is reduced over processes

    def on_train_start(self) -> None:
        """Called by Lightning."""
        self.has_trained = True

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Loss of one batch."""
        terms = self.objective.loss(self.model, batch)
        for name, term in terms.items():
            self.log(f"train/{name}", term.detach(), prog_bar=True, batch_size=len(batch["mixture"]))
        return torch.stack(list(terms.values())).sum()

    def validation_step(self, batch: Batch, _: int) -> None:
        """Collect results, every mixture with the same weight whatever its process; those without one count nowhere."""
        for name, values in self.objective.measure(self.model, batch).items():
            known = values[~values.isnan()]
            if len(known):
                self._results[name].update(known.float())

    def on_validation_epoch_end(self) -> None:
        """Log the means over all processes."""
        for name, metric in self._results.items():
            self.log(f"validation/{name}", metric.compute(), prog_bar=True)
            metric.reset()
        self.validated_step = self.trainer.global_step

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Called by Lightning."""
        config = self.optimizer_config
        optimizer = torch.optim.AdamW(
            [parameter for parameter in self.model.parameters() if parameter.requires_grad],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            amsgrad=config.amsgrad,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, config.ratio)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
