"""Which mixtures a training process makes next."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch.utils.data import Sampler


class ResumableSampler(Sampler[int]):
    """Counts on from where training stood: rank r of W takes every W-th index of each step, none twice.

    Args:
        items: Asked at the start of an epoch: the indices that all ranks together take until its end.
        epoch_items: Indices of a whole epoch over all ranks.
        rank: This process.
        world_size: Number of processes.
    """

    def __init__(
        self, *, items: Callable[[], range], epoch_items: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.items = items
        self.epoch_items = epoch_items
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return self.epoch_items // self.world_size

    def __iter__(self) -> Iterator[int]:
        return iter(self.items()[self.rank :: self.world_size])
