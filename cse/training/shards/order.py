"""In which order mixtures of shards are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from cse.errors import ConfigError


class ShardOrder:
    """Which mixture is the n-th of a training that goes through all of them again and again.

    Every process has shards of its own, in another order in each round. So that few shards are needed at a time,
    mixtures are shuffled within a window of some shards; that is what a shuffling buffer does, but position n can be
    found without what comes before it, so a resumed training goes on where it stopped.

    Args:
        counts: Mixtures in each shard.
        seed: Of the order.
        window: Shards that are shuffled together.
        world_size: Processes; index i is the (i // `world_size`)-th mixture of process i % `world_size`.

    Raises:
        ConfigError: Fewer shards than processes.

    >>> order = ShardOrder([2, 2], seed=0, window=2, world_size=1)
    >>> sorted(order.place(index) for index in range(4))
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    """

    def __init__(self, counts: Sequence[int], *, seed: int, window: int, world_size: int) -> None:
        if len(counts) < world_size:
            raise ConfigError(
                f"data.shards: got {len(counts)} for {world_size} processes, expected one for each at least; write "
                "smaller ones (cse shards --size)"
            )
        self._counts = np.array(counts)
        self._seed = seed
        self._window = window
        self._world_size = world_size
        self._permuted = lru_cache(maxsize=4)(self._permute)

    def place(self, index: int) -> tuple[int, int]:
        """The shard of a mixture, and its place in it."""
        n, rank = divmod(index, self._world_size)
        own = np.arange(rank, len(self._counts), self._world_size)
        round_, at = divmod(n, int(self._counts[own].sum()))
        own = np.random.default_rng((self._seed, rank, round_)).permutation(own)
        ends = np.cumsum(self._counts[own])
        shard = int(np.searchsorted(ends, at, side="right"))
        first = shard - shard % self._window
        before = int(ends[first - 1]) if first else 0
        shards, places = self._permuted(
            rank, round_, first, tuple(own[first : first + self._window].tolist())
        )
        return int(shards[at - before]), int(places[at - before])

    def _permute(
        self, rank: int, round_: int, first: int, shards: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        counts = self._counts[list(shards)]
        owner = np.repeat(shards, counts)
        place = np.concatenate([np.arange(count) for count in counts])
        shuffled = np.random.default_rng((self._seed, rank, round_, first)).permutation(len(owner))
        return owner[shuffled], place[shuffled]

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_permuted"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._permuted = lru_cache(maxsize=4)(self._permute)
