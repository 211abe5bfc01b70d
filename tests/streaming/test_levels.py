"""Gains by what was heard so far."""

from __future__ import annotations

import numpy as np
import pytest

from cse.streaming.levels import RunningLevels
from tests.streaming.conftest import cut

SCALES = np.array([[3.0], [0.1]], np.float32)


@pytest.mark.parametrize("chunk", [1, 77, 4000])
def test_it_does_not_matter_how_the_stream_was_cut(rng, chunk):
    talkers = rng.standard_normal((2, 3001)).astype(np.float32)
    whole = RunningLevels(talkers=2, block=500).push(SCALES * talkers, talkers.sum(0))
    levels = RunningLevels(talkers=2, block=500)
    places = cut(np.arange(3001), chunk)
    pieces = [levels.push(SCALES * talkers[:, part], talkers.sum(0)[part]) for part in places]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=1e-5, atol=1e-6)


def test_who_begins_late_begins_with_the_gain_of_the_other(rng):
    talkers = rng.standard_normal((2, 4000)).astype(np.float32)
    talkers[1, :2000] = 0.0
    levelled = RunningLevels(talkers=2, block=500).push(0.2 * talkers, talkers.sum(0))
    np.testing.assert_allclose(levelled[0, 1500:], talkers[0, 1500:], atol=0.2)
    np.testing.assert_allclose(levelled[1, 2000:2500], talkers[1, 2000:2500], atol=0.2)


def test_silence_at_the_beginning_silences_nobody(rng):
    talkers = rng.standard_normal((2, 3000)).astype(np.float32)
    talkers[:, :1500] = 0.0
    levelled = RunningLevels(talkers=2, block=500).push(0.5 * talkers, talkers.sum(0))
    np.testing.assert_array_equal(levelled[:, 1500:2000], 0.5 * talkers[:, 1500:2000])
    np.testing.assert_allclose(levelled[:, 2500:], talkers[:, 2500:], atol=0.2)
