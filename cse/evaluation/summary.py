"""From the rows of a run to its numbers: the keys of the JSON of `cse evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from cse.evaluation.items import ItemResult
from cse.evaluation.statistics import (
    bootstrap_interval,
    expected_calibration_error,
    risk_coverage,
    wilson_interval,
)

FAILURE_BELOW_DB = 1.0
TURN_GROUPS = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 9), (10, 19), (20, None))
"""First and last number of history turns of each group in `by_history_turns`."""


def summarize(items: Sequence[ItemResult], *, seed: int) -> dict[str, Any]:
    """Numbers over all rows; None where no row has the value.

    Target-absent items enter `absent_detection_rate`, `ece`, `abstention_rate` and the risk–coverage area
    (their returned voice is never right), and no decibel mean. Items that failed count as wrong and as
    failures.
    """
    present = [item for item in items if not item.target_absent]
    absent = [item for item in items if item.target_absent]
    scored = [item for item in items if item.error is None]
    return {
        "n": len(items),
        **_accuracy(present),
        **_mean_db(present, "si_sdr_db", seed=seed),
        **_mean_db(present, "si_sdri_db", seed=seed),
        **_mean_db(present, "sdri_db", seed=seed),
        "si_sdri_selected_db": _mean(item.si_sdri_db for item in present if item.right),
        **_mean_db(present, "separation_si_sdri_db", seed=seed),
        "failure_rate": _share(
            present, lambda item: item.si_sdri_db is None or item.si_sdri_db < FAILURE_BELOW_DB
        ),
        "hedging_rate": _share(
            [item for item in present if item.hedged is not None], lambda item: item.hedged is True
        ),
        **_calibration(scored),
        "abstention_rate": _share(scored, lambda item: item.abstained is True),
        "pesq": _mean(item.pesq for item in present),
        "stoi": _mean(item.stoi for item in present),
        "wer": _word_error_rate(present),
        "real_time_factor": real_time_factor(items),
        "n_present": len(present),
        "n_absent": len(absent),
        "n_failed": len(items) - len(scored),
        "absent_detection_rate": _share(absent, lambda item: item.target_present is False),
        "false_absent_rate": _share(present, lambda item: item.target_present is False),
        "by_history_turns": by_history_turns(present),
    }


def by_history_turns(items: Iterable[ItemResult]) -> dict[str, dict[str, Any]]:
    """The main numbers of the items with about as many turns of history, by group: "0", "1", "3-4", "20+"…"""
    groups: dict[str, dict[str, Any]] = {}
    items = list(items)
    for first, last in TURN_GROUPS:
        label = str(first) if first == last else f"{first}+" if last is None else f"{first}-{last}"
        inside = [
            item
            for item in items
            if first <= item.history_turns and (last is None or item.history_turns <= last)
        ]
        if inside:
            groups[label] = {
                "n": len(inside),
                **_accuracy(inside),
                "si_sdri_db": _mean(item.si_sdri_db for item in inside),
                "si_sdri_selected_db": _mean(item.si_sdri_db for item in inside if item.right),
            }
    return groups


def real_time_factor(items: Iterable[ItemResult]) -> float | None:
    """Seconds of processing per second of audio, over the items that were extracted; None if none was."""
    timed = [(item.seconds, item.duration_s) for item in items if item.seconds is not None]
    audio_s = sum(duration_s for _, duration_s in timed)
    return sum(seconds for seconds, _ in timed) / audio_s if audio_s else None


def calibration_pairs(items: Iterable[ItemResult]) -> tuple[list[float], list[bool]]:
    """Stated probabilities and whether the returned voice was the right one, of all items that state one."""
    stating = [(item.probability, item.voice_is_right) for item in items if item.probability is not None]
    return [probability for probability, _ in stating], [right for _, right in stating]


def _accuracy(items: Sequence[ItemResult]) -> dict[str, Any]:
    right = sum(item.right for item in items)
    return {
        "selection_accuracy": right / len(items) if items else None,
        "selection_accuracy_ci95": list(wilson_interval(right, len(items))) if items else None,
    }


def _mean_db(items: Iterable[ItemResult], name: str, *, seed: int) -> dict[str, Any]:
    values = [value for item in items if (value := getattr(item, name)) is not None]
    interval = bootstrap_interval(values, seed=seed)
    return {name: _mean(values), f"{name}_ci95": list(interval) if interval else None}


def _calibration(items: Iterable[ItemResult]) -> dict[str, float | None]:
    probabilities, right = calibration_pairs(items)
    return {
        "ece": expected_calibration_error(probabilities, right),
        "risk_coverage_area": risk_coverage(probabilities, right).area,
    }


def _word_error_rate(items: Iterable[ItemResult]) -> float | None:
    counted = [item.word_errors for item in items if item.word_errors is not None]
    return reduce(add, counted).rate if counted else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _share(items: Sequence[ItemResult], condition: Callable[[ItemResult], bool]) -> float | None:
    return sum(condition(item) for item in items) / len(items) if items else None
