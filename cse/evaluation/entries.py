"""Entries of the JSON of `cse evaluate`: a number under its name, and beside it its 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from cse.evaluation.statistics import bootstrap_interval, bootstrap_of, wilson_interval


def share_entry(name: str, successes: float, trials: int) -> dict[str, Any]:
    """A share of trials with its Wilson interval; None for both where there was no trial.

    >>> share_entry("right", 0, 0)
    {'right': None, 'right_ci95': None}
    """
    if not trials:
        return _entry(name, None, None)
    return _entry(name, successes / trials, wilson_interval(successes, trials))


def mean_entry(name: str, values: Iterable[float | None], *, seed: int) -> dict[str, Any]:
    """The mean of the values that there are, with its bootstrap interval; None where there is none.

    >>> mean_entry("gain_db", [2.0, None, 2.0], seed=0)
    {'gain_db': 2.0, 'gain_db_ci95': [2.0, 2.0]}
    """
    known = [value for value in values if value is not None]
    return _entry(name, float(np.mean(known)) if known else None, bootstrap_interval(known, seed=seed))


def entry_of(
    name: str, statistic: Callable[..., float | None], *samples: np.ndarray, seed: int
) -> dict[str, Any]:
    """What a statistic makes of samples (N, ...) of items, with its bootstrap interval; None without items.

    >>> entry_of("largest", lambda rows: float(rows.max()), np.array([]), seed=0)
    {'largest': None, 'largest_ci95': None}
    """
    if any(not len(sample) for sample in samples):
        return _entry(name, None, None)
    return _entry(name, statistic(*samples), bootstrap_of(statistic, *samples, seed=seed))


def _entry(name: str, value: float | None, interval: tuple[float, float] | None) -> dict[str, Any]:
    return {name: value, f"{name}_ci95": None if interval is None else list(interval)}
