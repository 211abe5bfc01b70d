"""From the rows of a run to its numbers: the keys of the JSON of `cse evaluate`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cse.evaluation.confidence import absence_numbers, confidence_numbers
from cse.evaluation.entries import entry_of, mean_entry, share_entry
from cse.evaluation.items import ItemResult
from cse.evaluation.talkers import talker_numbers

FAILURE_BELOW_DB = 1.0
TURN_GROUPS = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 9), (10, 19), (20, None))
"""First and last number of history turns of each group in `by_history_turns`."""


def summarize(items: Sequence[ItemResult], *, seed: int) -> dict[str, Any]:
    """Numbers over all rows, each with its 95 % interval under `…_ci95`; None where no row has the value.

    Target-absent items enter `absent_…`, `ece`, `abstention_rate`, `error_…` and the risk–coverage curve (their
    returned voice is never right), and no decibel mean. Talkers who are alone, without interferers and without noise,
    leave nothing to improve: they enter `single_talker_…`, no SI-SDR or SI-SDRi, and no failures. Items that failed
    count as wrong and as failures.
    """
    present = [item for item in items if not item.target_absent]
    absent = [item for item in items if item.target_absent]
    scored = [item for item in items if item.error is None]
    mixed = [item for item in present if not item.alone]
    return {
        "n": len(items),
        **_accuracy(present),
        **_mean_db(mixed, "si_sdr_db", seed=seed),
        **_mean_db(mixed, "si_sdri_db", seed=seed),
        **_mean_db(mixed, "sdri_db", seed=seed),
        **mean_entry("si_sdri_selected_db", (item.si_sdri_db for item in mixed if item.right), seed=seed),
        **_mean_db(mixed, "separation_si_sdri_db", seed=seed),
        **share_entry("failure_rate", sum(_failed(item) for item in mixed), len(mixed)),
        **_hedging(present),
        **confidence_numbers(scored, seed=seed),
        **_mean_db(present, "pesq", seed=seed),
        **_mean_db(present, "stoi", seed=seed),
        **_word_errors(present, seed=seed),
        **_time_factor("real_time_factor", items, "seconds", seed=seed),
        **_time_factor("processor_time_factor", items, "processor_seconds", seed=seed),
        "n_present": len(present),
        "n_absent": len(absent),
        "n_failed": len(items) - len(scored),
        **absence_numbers(present, absent, seed=seed),
        **talker_numbers(scored, seed=seed),
        "by_history_turns": by_history_turns(present),
    }


def by_history_turns(items: Iterable[ItemResult]) -> dict[str, dict[str, Any]]:
    """The main numbers of the items with about as many turns of history, by group: "0", "1", "3-4", "20+"…

    Talkers who are alone enter no SI-SDRi, as in `summarize`.
    """
    groups: dict[str, dict[str, Any]] = {}
    items = list(items)
    for first, last in TURN_GROUPS:
        label = str(first) if first == last else f"{first}+" if last is None else f"{first}-{last}"
        inside = [
            item
            for item in items
            if first <= item.history_turns and (last is None or item.history_turns <= last)
        ]
        mixed = [item for item in inside if not item.alone]
        if inside:
            groups[label] = {
                "n": len(inside),
                **_accuracy(inside),
                "si_sdri_db": _mean(item.si_sdri_db for item in mixed),
                "si_sdri_selected_db": _mean(item.si_sdri_db for item in mixed if item.right),
            }
    return groups


def _accuracy(items: Sequence[ItemResult]) -> dict[str, Any]:
    return share_entry("selection_accuracy", sum(item.right for item in items), len(items))


def _mean_db(items: Iterable[ItemResult], name: str, *, seed: int) -> dict[str, Any]:
    return mean_entry(name, (getattr(item, name) for item in items), seed=seed)


def _failed(item: ItemResult) -> bool:
    return item.si_sdri_db is None or item.si_sdri_db < FAILURE_BELOW_DB


def _hedging(items: Iterable[ItemResult]) -> dict[str, Any]:
    known = [item.hedged for item in items if item.hedged is not None]
    return share_entry("hedging_rate", sum(known), len(known))


def _word_errors(items: Iterable[ItemResult], *, seed: int) -> dict[str, Any]:
    """The rate over all words; without any word in a reference there is none."""
    counted = [item.word_errors for item in items if item.word_errors is not None]
    rows = np.array([(one.errors, one.reference_words) for one in counted], np.float64).reshape(-1, 2)
    return entry_of("wer", _ratio, rows, seed=seed)


def _time_factor(name: str, items: Iterable[ItemResult], kind: str, *, seed: int) -> dict[str, Any]:
    """Seconds of work per second of audio, over the items that were extracted."""
    timed = [(getattr(item, kind), item.duration_s) for item in items if getattr(item, kind) is not None]
    return entry_of(name, _ratio, np.array(timed, np.float64).reshape(-1, 2), seed=seed)


def _ratio(rows: np.ndarray) -> float | None:
    """Sum of the first column over that of the second, (N, 2)."""
    above, below = rows.sum(axis=0)
    return float(above / below) if below else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
