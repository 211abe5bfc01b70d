"""Intervals, calibration and risk–coverage against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cse.evaluation.statistics import (
    bootstrap_interval,
    bootstrap_of,
    expected_calibration_error,
    reliability_bins,
    risk_coverage,
    wilson_interval,
    wrong_among_surest,
)


def test_wilson_interval_as_in_the_textbook() -> None:
    # Newcombe 1998, table I: 81 of 263 and 15 of 148
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_wilson_interval_stays_inside_and_narrows_with_more_trials() -> None:
    for right, trials in ((0, 1), (1, 1), (3, 7), (500, 500)):
        low, high = wilson_interval(right, trials)
        assert 0 <= low <= right / trials <= high <= 1
    widths = [np.diff(wilson_interval(trials // 2, trials))[0] for trials in (10, 100, 1000)]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_bootstrap_covers_the_true_mean_about_95_times_in_100() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        interval = bootstrap_interval(rng.normal(3.0, 2.0, size=60), seed=seed, resamples=300)
        assert interval is not None
        covered += interval[0] <= 3.0 <= interval[1]
    assert 180 <= covered <= 199


def test_bootstrap_is_repeatable_and_needs_two_values() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert bootstrap_interval(values, seed=5) == bootstrap_interval(values, seed=5)
    assert bootstrap_interval(values, seed=5) != bootstrap_interval(values, seed=6)
    assert bootstrap_interval([1.0], seed=0) is None
    assert bootstrap_interval([2.0, 2.0], seed=0) == (2.0, 2.0)


def test_calibration_error_weighs_the_gap_of_each_bin() -> None:
    # bin (0.9, 1.0]: says 0.95, is 0.5, 2 items; bin (0.2, 0.3]: says 0.3, is 0, 1 item
    error = expected_calibration_error([0.95, 0.95, 0.3], [True, False, False])
    assert error == pytest.approx((2 * 0.45 + 1 * 0.3) / 3)
    assert expected_calibration_error([], []) is None


def test_bins_hold_each_item_once_with_both_ends() -> None:
    bins = reliability_bins([0.0, 0.05, 0.5, 1.0], [False, True, True, True], bins=10)
    assert [(round(one.low, 6), one.count) for one in bins] == [(0.0, 2), (0.4, 1), (0.9, 1)]
    assert bins[0].share_right == 0.5


def test_risk_coverage_is_the_share_wrong_above_each_threshold() -> None:
    rng = np.random.default_rng(0)
    stated = rng.integers(0, 20, size=300) / 20  # many ties
    right = rng.uniform(size=300) < stated
    curve = risk_coverage(stated, right)
    assert curve.threshold.tolist() == sorted(set(stated.tolist()), reverse=True)
    for threshold, coverage, risk in zip(curve.threshold, curve.coverage, curve.risk, strict=True):
        answered = stated >= threshold
        assert coverage == pytest.approx(answered.mean())
        assert risk == pytest.approx(1 - right[answered].mean())
    assert curve.coverage[-1] == 1.0


def test_area_is_smaller_when_errors_come_last() -> None:
    stated = [0.9, 0.8, 0.7, 0.6]
    last = risk_coverage(stated, [True, True, True, False]).area
    first = risk_coverage(stated, [False, True, True, True]).area
    assert last == pytest.approx(0.25 * 0.25)
    assert first == pytest.approx(0.25 * (1 + 1 / 2 + 1 / 3 + 1 / 4))
    assert risk_coverage([], []).area is None


def test_errors_among_the_surest_half() -> None:
    stated = [0.9, 0.3, 0.8, 0.7, 0.6]
    assert wrong_among_surest(stated, [True, False, False, True, False]) == (1.0, 3), "0.9, 0.8 and 0.7"
    assert wrong_among_surest(stated, [True] * 5, share=1.0) == (0.0, 5)
    # 0.9 and one of three ties, of which two are wrong
    assert wrong_among_surest([0.9, 0.5, 0.5, 0.5], [True, False, True, False]) == (
        pytest.approx(2 / 3),
        2,
    )
    assert wrong_among_surest([], []) is None


def test_the_order_of_items_changes_nothing_among_the_surest() -> None:
    rng = np.random.default_rng(0)
    stated, right = rng.integers(0, 5, size=40) / 5, rng.uniform(size=40) < 0.6
    order = rng.permutation(40)
    assert wrong_among_surest(stated, right) == pytest.approx(wrong_among_surest(stated[order], right[order]))


def test_bootstrap_of_a_mean_is_the_bootstrap_of_means() -> None:
    values = np.random.default_rng(0).normal(size=30)
    interval = bootstrap_of(lambda rows: float(rows.mean()), values, seed=5)
    assert interval == pytest.approx(bootstrap_interval(values, seed=5))
    assert bootstrap_of(lambda rows: float(rows.mean()), values, values[:1], seed=5) is None
    assert bootstrap_of(lambda rows: None, values, seed=5) is None, "as word errors where nobody said a word"


def test_bootstrap_draws_samples_independently() -> None:
    low, high = np.zeros(20), np.arange(20.0)
    interval = bootstrap_of(lambda a, b: float((b - a).mean()), low, high, seed=0)
    assert interval is not None
    assert interval[0] < 9.5 < interval[1]
    assert interval[1] - interval[0] == pytest.approx(4 * high.std() / np.sqrt(20), rel=0.15)
