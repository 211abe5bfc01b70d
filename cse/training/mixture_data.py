"""From mixtures, wherever they come from, to the batches of a training that can be resumed."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from cse.errors import ConfigError
from cse.training.mixture_set import MixtureSet
from cse.training.sampler import ResumableSampler
from simulate.checks import check_least

LEAST_SEGMENT_S = 0.05  # shorter mixtures have no speech in them


class Mixing(Protocol):
    """What all ways to make mixtures have."""

    @property
    def talkers(self) -> int:
        """Talkers in a mixture."""

    @property
    def segment_s(self) -> float:
        """Length of a mixture in seconds."""


class MixtureData(pl.LightningDataModule, ABC):
    """Endless training mixtures and a fixed set of validation mixtures.

    Args:
        mixing: How they are made.
        sample_rate: Rate in Hz of the mixtures.
        batch_size: Mixtures a step and process.
        steps_per_epoch: Steps between two validations.
        validation_mixtures: Number of validation mixtures, over all processes.
        validation_segment_s: Their length in seconds.
        seed: Of all mixtures.
        workers: Data-loader processes; 0 makes mixtures in the training process.

    Raises:
        ConfigError: A number that is too small.
    """

    def __init__(
        self,
        *,
        mixing: Mixing,
        sample_rate: int,
        batch_size: int,
        steps_per_epoch: int,
        validation_mixtures: int,
        validation_segment_s: float,
        seed: int,
        workers: int,
    ) -> None:
        super().__init__()
        counts = {
            "sample_rate": sample_rate,
            "batch_size": batch_size,
            "steps_per_epoch": steps_per_epoch,
            "validation_mixtures": validation_mixtures,
        }
        for name, value in counts.items():
            check_least(f"data.{name}", value, 1)
        for name, value in {"seed": seed, "workers": workers}.items():
            check_least(f"data.{name}", value, 0)
        check_least("data.validation_segment_s", validation_segment_s, LEAST_SEGMENT_S)
        self.mixing: Any = mixing
        self.sample_rate = sample_rate
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.validation_mixtures = validation_mixtures
        self.validation_segment_s = validation_segment_s
        self.seed = seed
        self.workers = workers
        self._resumed = {"step": 0, "mixtures": 0}

    @abstractmethod
    def training_mixtures(self, *, length: int, world_size: int) -> MixtureSet:
        """Mixtures to train on; indices beyond their number are valid too, training goes on counting.

        Args:
            length: Mixtures of an epoch.
            world_size: Processes; process r gets every index i with i % `world_size` = r.
        """

    @abstractmethod
    def fixed_mixtures(self) -> MixtureSet:
        """Mixtures to validate on, `validation_mixtures` at least."""

    @abstractmethod
    def content(self) -> dict[str, str | None]:
        """Digests of what the mixtures are made of, wherever the files lie."""

    def identity(self) -> dict[str, Any]:
        """All that decides about the mixtures, as plain values: what a run that goes on must find again.

        How many mixtures a process takes at once is left out: that is a question of its memory and of their number.
        """
        return {
            "sample_rate": self.sample_rate,
            "seed": self.seed,
            "steps_per_epoch": self.steps_per_epoch,
            "validation_mixtures": self.validation_mixtures,
            "validation_segment_s": self.validation_segment_s,
            "mixing": {**asdict(self.mixing), "kind": type(self.mixing).__name__},
            **self.content(),
        }

    def train_dataloader(self) -> DataLoader:
        """Batches from where training stands, so that a resumed run goes on with the mixtures it had not seen."""
        world_size, rank = self._processes()
        epoch_items = self.steps_per_epoch * self._mixtures_a_step
        sampler = ResumableSampler(
            items=self._until_the_end_of_the_epoch,
            epoch_items=epoch_items,
            rank=rank,
            world_size=world_size,
        )
        mixtures = self.training_mixtures(length=epoch_items, world_size=world_size)
        return self._loader(mixtures, mixtures, sampler)

    def val_dataloader(self) -> DataLoader:
        """The fixed validation mixtures, shared out over the processes.

        Raises:
            ConfigError: If there is not one for each, who would wait for each other.
        """
        world_size, rank = self._processes()
        if self.validation_mixtures < world_size:
            raise ConfigError(
                f"data.validation_mixtures: got {self.validation_mixtures} for {world_size} processes, expected one "
                "for each at least"
            )
        mixtures = self.fixed_mixtures()
        return self._loader(Subset(mixtures, range(rank, self.validation_mixtures, world_size)), mixtures)

    def state_dict(self) -> dict[str, int]:
        """Called by Lightning: how many mixtures training has used, whose number in a step may change later."""
        return {"step": self._step, "mixtures": self._used}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Called by Lightning; not for a checkpoint of an earlier version, where all steps count as one of now."""
        self._resumed = dict(state_dict)

    def transfer_batch_to_device(
        self, batch: dict[str, Any], device: torch.device, dataloader_idx: int
    ) -> dict[str, Any]:
        """Called by Lightning: moves tensors; lists are cues, which an encoder may want where they are."""
        return {
            key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
            for key, value in batch.items()
        }

    def _loader(
        self, items: Dataset[dict[str, Any]], mixtures: MixtureSet, sampler: ResumableSampler | None = None
    ) -> DataLoader:
        return DataLoader(
            items,
            batch_size=self.batch_size,
            collate_fn=mixtures.collate,
            sampler=sampler,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            # of its own: each new iterator takes a number from it, and dropout would go on differently
            generator=torch.Generator(),
        )

    @property
    def _step(self) -> int:
        return self.trainer.global_step if self.trainer else 0

    @property
    def _mixtures_a_step(self) -> int:
        accumulated = self.trainer.accumulate_grad_batches if self.trainer else 1
        return self.batch_size * self._processes()[0] * accumulated

    @property
    def _used(self) -> int:
        """Mixtures until now, over all processes."""
        world_size, _ = self._processes()
        before = -(-self._resumed["mixtures"] // world_size) * world_size  # i is of process i % world_size
        return before + (self._step - self._resumed["step"]) * self._mixtures_a_step

    def _until_the_end_of_the_epoch(self) -> range:
        steps = self.steps_per_epoch - self._step % self.steps_per_epoch
        return range(self._used, self._used + steps * self._mixtures_a_step)

    def _processes(self) -> tuple[int, int]:
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)


def digest(values: Iterable[Any]) -> str:
    """SHA-256 of plain values, in order.

    >>> digest([{"id": "a"}, 1.5])[:8]
    'f8851e6e'
    """
    total = hashlib.sha256()
    for value in values:
        total.update(json.dumps(value, sort_keys=True).encode() + b"\n")
    return total.hexdigest()
