"""What many rows say together: sureness, absence, the number of talkers, one talker; each with its interval."""

from __future__ import annotations

import numpy as np
import pytest

from cse.evaluation.confidence import MAX_POINTS
from cse.evaluation.items import ItemResult
from cse.evaluation.summary import summarize


def row(number: int, **said: object) -> ItemResult:
    fields = {
        "target_absent": False,
        "talkers": 2,
        "history_turns": 2,
        "enrollment": False,
        "duration_s": 2.0,
    }
    return ItemResult(id=str(number), **{**fields, **said})  # type: ignore[arg-type]


def test_errors_are_counted_where_it_is_surest() -> None:
    items = [
        row(number, probability=0.5 + number / 20, right=number not in (0, 1, 8), abstained=number < 2)
        for number in range(10)
    ]
    numbers = summarize(items, seed=0)
    assert numbers["error_surest_half"] == pytest.approx(1 / 5)
    assert numbers["error_answered"] == pytest.approx(1 / 8)
    assert numbers["abstention_rate"] == pytest.approx(1 / 5)
    curve = numbers["risk_coverage"]
    assert [point["coverage"] for point in curve] == pytest.approx(np.arange(1, 11) / 10)
    assert [point["risk"] for point in curve][:3] == pytest.approx([0, 1 / 2, 1 / 3])
    assert curve[-1]["threshold"] == 0.5 and curve[-1]["risk"] == pytest.approx(0.3)
    assert all(low <= point["risk"] <= high for point in curve for low, high in [point["risk_ci95"]])
    assert sum(one["count"] for one in numbers["reliability"]) == 10


def test_what_failed_is_not_called_present() -> None:
    judged = [row(number, target_present=True, abstained=False, probability=0.9) for number in range(2)]
    failed = row(2, error="could not be read")
    numbers = summarize([*judged, failed], seed=0)
    assert numbers["false_absent_rate_ci95"] == summarize(judged, seed=0)["false_absent_rate_ci95"]
    assert numbers["abstention_rate_ci95"] == summarize(judged, seed=0)["abstention_rate_ci95"]


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    rng = np.random.default_rng(0)
    items = [row(number, probability=float(p), right=True) for number, p in enumerate(rng.uniform(size=500))]
    curve = summarize(items, seed=0)["risk_coverage"]
    assert len(curve) == MAX_POINTS
    assert curve[0]["coverage"] == pytest.approx(1 / 500) and curve[-1]["coverage"] == 1.0


def test_every_share_and_mean_has_an_interval_around_it() -> None:
    rng = np.random.default_rng(0)
    items = [
        row(
            number, probability=float(rng.uniform()), right=bool(rng.uniform() < 0.7), p_none=float(rng.uniform()),
            target_absent=number % 4 == 0, target_present=number % 3 != 0, abstained=number % 5 == 0,
            hedged=number % 6 == 0, seconds=0.4, processor_seconds=0.5, talkers_found=2 + number % 2,
            si_sdr_db=1.0, si_sdri_db=float(rng.normal(5, 3)), sdri_db=2.0, separation_si_sdri_db=6.0,
        )
        for number in range(40)
    ]  # fmt: skip
    numbers = summarize(items, seed=0)
    pairs = {
        key: (numbers[key.removesuffix("_ci95")], value)
        for key, value in numbers.items()
        if key.endswith("_ci95") and value is not None
    }
    assert {
        "ece_ci95", "error_surest_half_ci95", "abstention_rate_ci95", "real_time_factor_ci95",
        "absent_found_at_10_percent_false_alarms_ci95", "absent_auroc_ci95", "talker_count_accuracy_ci95",
        "failure_rate_ci95", "hedging_rate_ci95", "risk_coverage_area_ci95", "absent_detection_rate_ci95",
        "processor_time_factor_ci95",
    } <= set(pairs)  # fmt: skip
    for key, (value, (low, high)) in pairs.items():
        # ECE is drawn upwards by resampling: fewer different items in a bin leave larger gaps
        assert (low <= value <= high) or key == "ece_ci95", key
    assert numbers["real_time_factor"] == pytest.approx(0.2)
    assert numbers["processor_time_factor"] == pytest.approx(0.25)


def test_absent_targets_are_told_by_the_probability_of_nobody() -> None:
    present = [row(number, p_none=number / 20) for number in range(10)]  # 0 to 0.45
    absent = [
        row(10 + number, p_none=p, target_absent=True) for number, p in enumerate((0.9, 0.42, 0.1, 0.41))
    ]
    numbers = summarize([*present, *absent], seed=0)
    assert numbers["absent_found_at_10_percent_false_alarms"] == pytest.approx(3 / 4), (
        "0.45 is the false alarm"
    )
    assert numbers["absent_auroc"] == pytest.approx((10 + 9 + 2.5 + 9) / 40)


def test_what_does_not_apply_is_null() -> None:
    numbers = summarize([row(0, p_none=0.3, probability=0.7, right=True)], seed=0)
    for key in ("absent_found_at_10_percent_false_alarms", "absent_auroc", "absent_detection_rate"):
        assert numbers[key] is numbers[f"{key}_ci95"] is None
    for key in ("single_talker_si_sdr_db", "single_talker_untouched_rate", "talker_count_accuracy"):
        assert numbers[key] is numbers[f"{key}_ci95"] is None
    assert numbers["talker_count_confusion"] is None
    silent = summarize([row(0, error="unreadable")], seed=0)
    assert silent["ece"] is silent["error_surest_half"] is silent["error_answered"] is None
    assert silent["risk_coverage"] == silent["reliability"] == []


def test_the_number_of_talkers_is_compared_with_the_true_one() -> None:
    items = [
        row(number, talkers=true, talkers_found=found)
        for number, (true, found) in enumerate([(1, 1), (2, 2), (2, 3), (2, 2), (3, 3)])
    ]
    numbers = summarize(items, seed=0)
    assert numbers["talker_count_accuracy"] == pytest.approx(4 / 5)
    assert numbers["talker_count_confusion"] == {"1": {"1": 1}, "2": {"2": 2, "3": 1}, "3": {"3": 1}}
    single = [row(number, talkers=2, talkers_found=1) for number in range(3)]
    assert summarize(single, seed=0)["talker_count_confusion"] is None, "one output, whatever it hears"


def test_a_talker_alone_has_nothing_to_improve() -> None:
    alone = [
        row(number, talkers=1, talkers_found=1, alone=True, right=True, si_sdr_db=value, si_sdri_db=value - 100,
            input_si_sdr_db=value)
        for number, value in enumerate((100.0, 30.0, 8.0))
    ]  # fmt: skip
    mixed = row(5, right=True, si_sdr_db=9.0, si_sdri_db=7.0, separation_si_sdri_db=7.0)
    numbers = summarize([*alone, mixed], seed=0)
    assert numbers["single_talker_si_sdr_db"] == pytest.approx(46.0)
    assert numbers["single_talker_untouched_rate"] == pytest.approx(2 / 3)
    assert numbers["si_sdri_db"] == numbers["separation_si_sdri_db"] == 7.0
    assert numbers["si_sdr_db"] == 9.0
    assert numbers["by_history_turns"]["2"] == {
        "n": 4, "selection_accuracy": 1.0, "selection_accuracy_ci95": numbers["selection_accuracy_ci95"],
        "si_sdri_db": 7.0, "si_sdri_selected_db": 7.0,
    }  # fmt: skip
    assert numbers["failure_rate"] == 0.0
    nothing = summarize(alone, seed=0)
    assert (
        nothing["si_sdri_db"]
        is nothing["si_sdr_db"]
        is nothing["by_history_turns"]["2"]["si_sdri_db"]
        is None
    )
