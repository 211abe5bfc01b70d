"""Which few items are worth listening to: the wrong ones, the worst and the best of the right ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import numpy as np

from cse.evaluation.items import ItemResult, Signals

if TYPE_CHECKING:
    from cse.history import Turn
    from cse.manifest import Mixture


@dataclass(frozen=True, eq=False)
class Example:
    """One item with its audio, for the report; `estimate` is (T,) at the rate of the signals."""

    row: ItemResult
    mixture: Mixture
    signals: Signals
    estimate: np.ndarray
    history: Sequence[Turn] | None
    model: str


class ExampleKeeper:
    """Holds on to the audio of at most 3 × `limit` items of a run, and names `limit` of them at its end."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._groups: tuple[list[Example], list[Example], list[Example]] = ([], [], [])

    def offer(self, example: Example) -> None:
        """Keep the example in each group where it is among the first `limit`."""
        wrong, worst, best = self._groups
        gain_db = example.row.si_sdri_db
        if not example.row.right:
            _insert(wrong, example, key=_confidence, limit=self.limit)
        elif gain_db is not None:
            _insert(worst, example, key=lambda one: -_gain_db(one), limit=self.limit)
            _insert(best, example, key=_gain_db, limit=self.limit)

    def chosen(self) -> list[Example]:
        """Up to `limit` of them, in turn: the most confident wrong one, the worst right one, the best."""
        chosen: list[Example] = []
        for example in chain.from_iterable(zip_longest(*self._groups)):
            if example is not None and example not in chosen and len(chosen) < self.limit:
                chosen.append(example)
        return chosen


def _insert(group: list[Example], example: Example, *, key: Callable[[Example], float], limit: int) -> None:
    group.append(example)
    group.sort(key=key, reverse=True)  # stable: of equals the earlier one stays first
    del group[limit:]


def _confidence(example: Example) -> float:
    return example.row.probability if example.row.probability is not None else 0.0


def _gain_db(example: Example) -> float:
    assert example.row.si_sdri_db is not None
    return example.row.si_sdri_db
