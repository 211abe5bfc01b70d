"""What an extractor's stated probabilities are worth: calibration, errors where it is sure, absent targets found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from cse.evaluation.detection import area_under_roc, found_at_false_alarms
from cse.evaluation.entries import entry_of, share_entry
from cse.evaluation.items import ItemResult
from cse.evaluation.statistics import (
    RiskCoverage,
    expected_calibration_error,
    reliability_bins,
    risk_coverage,
    wilson_interval,
    wrong_among_surest,
)

FALSE_ALARMS = 0.1
MAX_POINTS = 100  # of the curve in the JSON; a test list has thousands of thresholds


def confidence_numbers(items: Sequence[ItemResult], *, seed: int) -> dict[str, Any]:
    """Numbers about the stated probabilities of items that did not fail; None where none state any."""
    pairs = calibration_pairs(items)
    rows = np.array(pairs, np.float64).T  # (N, 2): stated, right
    wrong, surest = wrong_among_surest(*pairs) or (0, 0)
    judged = [item for item in items if item.abstained is not None]
    answered = [item for item in judged if not item.abstained]
    return {
        **entry_of("ece", _calibration_error, rows, seed=seed),
        **entry_of("risk_coverage_area", _area, rows, seed=seed),
        **share_entry("error_surest_half", wrong, surest),
        **share_entry("abstention_rate", len(judged) - len(answered), len(judged)),
        **share_entry("error_answered", sum(not item.voice_is_right for item in answered), len(answered)),
        "risk_coverage": _points(risk_coverage(*pairs), len(rows)),
        "reliability": [
            {**asdict(one), "share_right_ci95": list(wilson_interval(one.share_right * one.count, one.count))}
            for one in reliability_bins(*pairs)
        ],
    }


def absence_numbers(
    present: Sequence[ItemResult], absent: Sequence[ItemResult], *, seed: int
) -> dict[str, Any]:
    """How well items without a target are told from those with one; None where there are none of either kind."""
    scores = absence_scores(absent), absence_scores(present)
    return {
        **_rate("absent_detection_rate", absent),
        **_rate("false_absent_rate", present),
        **entry_of(
            "absent_found_at_10_percent_false_alarms",
            lambda positive, negative: found_at_false_alarms(positive, negative, FALSE_ALARMS),
            *scores,
            seed=seed,
        ),
        **entry_of("absent_auroc", area_under_roc, *scores, seed=seed),
    }


def calibration_pairs(items: Iterable[ItemResult]) -> tuple[list[float], list[bool]]:
    """Stated probabilities and whether the returned voice was the right one, of all items that state one."""
    stating = [(item.probability, item.voice_is_right) for item in items if item.probability is not None]
    return [probability for probability, _ in stating], [right for _, right in stating]


def absence_scores(items: Iterable[ItemResult]) -> np.ndarray:
    """(N,) stated probabilities that no candidate is the target, of all items that state one."""
    return np.array([item.p_none for item in items if item.p_none is not None])


def _rate(name: str, items: Sequence[ItemResult]) -> dict[str, Any]:
    """How many are judged absent, of those that were judged at all; one that failed says neither."""
    judged = [item.target_present for item in items if item.target_present is not None]
    return share_entry(name, judged.count(False), len(judged))


def _calibration_error(rows: np.ndarray) -> float | None:
    return expected_calibration_error(rows[:, 0], rows[:, 1] > 0)


def _area(rows: np.ndarray) -> float | None:
    return risk_coverage(rows[:, 0], rows[:, 1] > 0).area


def _points(curve: RiskCoverage, count: int) -> list[dict[str, Any]]:
    """At most `MAX_POINTS` of the curve, evenly spread, its end among them; each with the interval of its risk."""
    last = len(curve.coverage) - 1
    chosen = np.unique(np.linspace(0, last, min(MAX_POINTS, last + 1)).round().astype(int))
    points = []
    for index in chosen:
        answered = round(float(curve.coverage[index]) * count)
        risk = float(curve.risk[index])
        points.append(
            {
                "coverage": float(curve.coverage[index]),
                "threshold": float(curve.threshold[index]),
                **share_entry("risk", risk * answered, answered),
            }
        )
    return points
