"""What every source of mixtures for training has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset


class MixtureSet(Dataset[dict[str, Any]], ABC):
    """Mixtures of which item i is the same in every epoch and process."""

    @abstractmethod
    def __len__(self) -> int: ...

    @staticmethod
    @abstractmethod
    def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """B items to a batch."""
