"""Stopping all processes of a training at the same step."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class StopTogether(Callback):
    """Ends all processes before the same step where one of them, or each on its own, gets SIGTERM.

    Lightning's handler talks to the other processes from wherever it interrupts this one, so that they may wait for
    each other for ever. Its own is put back when training is over. A process alone needs nothing of this.
    """

    def __init__(self) -> None:
        self._told = False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Called by Lightning."""
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._remember)

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Called by Lightning; validation is not broken off, because processes have different shares of it."""
        self.on_train_start(trainer, module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Called by Lightning.

        Raises:
            KeyboardInterrupt: In all processes, if one was told to stop.
        """
        if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(self._told, all=False):
            raise KeyboardInterrupt

    def _remember(self, *_: object) -> None:
        self._told = True
