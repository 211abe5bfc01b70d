"""Batches of mixtures from shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cse.errors import ConfigError
from cse.training.mixture_data import MixtureData, digest
from cse.training.shards.cache import ShardCache
from cse.training.shards.index import ShardAddress, read_indices
from cse.training.shards.mixtures import SegmentConfig, ShardMixtures
from cse.training.shards.order import ShardOrder


class ShardData(MixtureData):
    """Training and validation mixtures from shards.

    Args:
        shards: Folders or URLs that `cse shards` has written to, or single shards in them.
        validation_shards: The same for validation; talkers and dialogues in them should be others.
        cache_dir: Folder for downloaded shards.
        cache_gb: Downloaded shards beyond this are deleted; null keeps all.
        mixing: What is taken of a mixture.
        sample_rate: Rate in Hz of the mixtures.
        batch_size: Mixtures a step and process.
        steps_per_epoch: Steps between two validations.
        shuffle_shards: Shards that are shuffled together, and held open.
        validation_mixtures: Number of validation mixtures over all processes, the first ones; null is all.
        validation_segment_s: Their length in seconds.
        seed: Of the order and of the pieces.
        workers: Data-loader processes; 0 reads in the training process.

    Raises:
        ConfigError: A place that is none, or mixtures of another rate or number of talkers.
        ManifestError: An index is wrong.
    """

    def __init__(
        self,
        *,
        shards: tuple[str, ...],
        validation_shards: tuple[str, ...],
        cache_dir: Path,
        cache_gb: float | None,
        mixing: SegmentConfig,
        sample_rate: int,
        batch_size: int,
        steps_per_epoch: int,
        shuffle_shards: int,
        validation_mixtures: int | None,
        validation_segment_s: float,
        seed: int,
        workers: int,
    ) -> None:
        if shuffle_shards < 1:
            raise ConfigError(f"data.shuffle_shards: got {shuffle_shards}, expected 1 or more")
        expected = {"sample_rate": sample_rate, "talkers": mixing.talkers}
        self._training = read_indices(shards, **expected)
        self._validation = read_indices(validation_shards, **expected)
        there = sum(shard.mixtures for shard in self._validation)
        super().__init__(
            mixing=mixing,
            sample_rate=sample_rate,
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            validation_mixtures=there if validation_mixtures is None else min(there, validation_mixtures),
            validation_segment_s=validation_segment_s,
            seed=seed,
            workers=workers,
        )
        self.mixing: SegmentConfig = mixing
        self._shuffle_shards = shuffle_shards
        self._cache = ShardCache(cache_dir / "shards", limit_gb=cache_gb)

    def content(self) -> dict[str, str | None]:
        """See `MixtureData`."""
        return {
            "shards": digest(shard.sha256 for shard in self._training),
            "validation_shards": digest(shard.sha256 for shard in self._validation),
            "shuffle_shards": str(self._shuffle_shards),
        }

    def training_mixtures(self, *, length: int, world_size: int) -> ShardMixtures:
        """See `MixtureData`; a round through the shards may be longer or shorter than an epoch."""
        counts = [shard.mixtures for shard in self._training]
        order = ShardOrder(counts, seed=2 * self.seed, window=self._shuffle_shards, world_size=world_size)
        return self._mixtures(self._training, self.mixing, 2 * self.seed, order)

    def fixed_mixtures(self) -> ShardMixtures:
        """See `MixtureData`."""
        config = self.mixing.for_validation(segment_s=self.validation_segment_s)
        return self._mixtures(self._validation, config, 2 * self.seed + 1, None)

    def _mixtures(
        self, shards: Sequence[ShardAddress], config: SegmentConfig, seed: int, order: ShardOrder | None
    ) -> ShardMixtures:
        return ShardMixtures(
            shards=shards,
            cache=self._cache,
            config=config,
            sample_rate=self.sample_rate,
            seed=seed,
            order=order,
            open_shards=self._shuffle_shards + 1,
        )
