"""Telling absent targets by a score, against numbers counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cse.evaluation.detection import area_under_roc, found_at_false_alarms, roc_curve


def test_false_alarms_are_never_more_than_allowed() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 9, 10, 11, 25, 200):
        negative = rng.integers(0, 30, size=count) / 30  # many ties
        positive = rng.uniform(size=50)
        found = found_at_false_alarms(positive, negative, 0.1)
        # the best of all thresholds that keep to it
        allowed = [t for t in np.append(negative, -1.0) if (negative > t).mean() <= 0.1 + 1e-12]
        assert found == pytest.approx(max((positive > t).mean() for t in allowed))


def test_the_ends() -> None:
    absent, present = np.array([0.9, 0.8]), np.array([0.1, 0.2, 0.3])
    assert found_at_false_alarms(absent, present, 0.0) == 1.0
    assert found_at_false_alarms(present, absent, 0.0) == 0.0
    assert found_at_false_alarms(present, absent, 1.0) == 1.0
    same = np.full(10, 0.5)
    assert found_at_false_alarms(same, same, 0.1) == 0.0, "a constant finds nothing"
    assert area_under_roc(same, same) == 0.5
    assert area_under_roc(absent, present) == 1.0
    assert area_under_roc(present, absent) == 0.0


def test_area_is_that_under_the_curve() -> None:
    rng = np.random.default_rng(1)
    positive, negative = rng.integers(3, 9, size=40) / 10, rng.integers(0, 7, size=30) / 10
    false_alarms, found = roc_curve(positive, negative)
    assert (false_alarms[0], found[0], false_alarms[-1], found[-1]) == (0, 0, 1, 1)
    assert np.all(np.diff(false_alarms) >= 0) and np.all(np.diff(found) >= 0)
    assert np.trapezoid(found, false_alarms) == pytest.approx(area_under_roc(positive, negative))
