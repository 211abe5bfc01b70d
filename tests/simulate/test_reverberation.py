"""Decaying noise decays as asked for."""

from __future__ import annotations

import numpy as np
import pytest

from simulate.reverberation import decaying_noise


@pytest.mark.parametrize("rt60_s", [0.15, 0.3, 0.6])
def test_the_energy_decays_by_60_db_in_rt60(rt60_s):
    rate = 16000
    rir = decaying_noise(
        np.random.default_rng(1), rt60_s=rt60_s, direct_to_reverberant_db=0.0, sample_rate=rate
    )
    remaining_db = 10 * np.log10(
        np.cumsum(np.square(rir[:0:-1]))[::-1]
    )  # Schroeder's backward integral of the tail
    remaining_db -= remaining_db[0]
    at = [int(np.argmax(remaining_db < level)) for level in (-5, -25)]
    assert 3 * (at[1] - at[0]) / rate == pytest.approx(rt60_s, rel=0.1)


def test_the_direct_sound_comes_first_and_alone():
    rir = decaying_noise(
        np.random.default_rng(0), rt60_s=0.2, direct_to_reverberant_db=6.0, sample_rate=16000
    )
    assert rir[0] == 1.0
    assert not rir[1:32].any()
