"""What all objectives have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)
Batch = dict[str, Any]


class Objective(nn.Module, ABC, Generic[Model]):
    """Turns what a model makes of a batch into a loss, and into numbers that a person understands.

    Attributes:
        results: Names of what `measure` returns.
        uses_whole_model: Whether each weight has a part in every loss; several processes have to know.
        takes_silent_talkers: Whether talkers may be missing from a mixture, with silence in their places.
    """

    results: ClassVar[tuple[str, ...]] = ("si_sdri_db", "selection_accuracy")
    uses_whole_model: ClassVar[bool] = True
    takes_silent_talkers: ClassVar[bool] = True

    @abstractmethod
    def loss(self, model: Model, batch: Batch) -> dict[str, Tensor]:
        """Terms of the loss by name, as scalars that are already weighted: their sum is what training lowers."""

    @abstractmethod
    def measure(self, model: Model, batch: Batch) -> dict[str, Tensor]:
        """The `results` by name, (B,) float each, NaN where an item has none."""
