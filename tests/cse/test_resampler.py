"""The sample rate of sound that is still coming: what `resample` makes of the whole, as soon as it can be known."""

from __future__ import annotations

import numpy as np
import pytest

from cse.errors import InvalidAudioError
from cse.resampling import Resampler, resample


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(48000, 16000), (44100, 16000), (8000, 16000), (16000, 44100), (16000, 16000)]
)
@pytest.mark.parametrize("chunk", [1, 77, 5000])
def test_it_is_the_same_in_pieces(rng, from_hz, to_hz, chunk):
    waveform = rng.standard_normal(4001).astype(np.float32)
    resampler = Resampler(from_hz, to_hz, block_samples=from_hz // 100)
    pieces, came, given = [], 0, 0
    for start in range(0, len(waveform), chunk):
        piece = waveform[start : start + chunk]
        pieces += resampler.push(piece)
        came += len(piece)
        given = sum(map(len, pieces))
        assert came - given * from_hz / to_hz <= resampler.latency + 1
    pieces += resampler.flush()
    assert given < sum(map(len, pieces)) or from_hz == to_hz
    np.testing.assert_allclose(np.concatenate(pieces), resample(waveform, from_hz, to_hz), atol=1e-6)


def test_it_holds_no_more_than_its_latency():
    resampler = Resampler(48000, 16000, block_samples=480)
    for _ in range(200):
        list(resampler.push(np.zeros(1000)))
    assert sum(map(len, resampler._waiting)) <= 480 + 2 * 102 + 1000


def test_a_rate_of_zero_is_refused():
    with pytest.raises(InvalidAudioError, match="rates above 0"):
        Resampler(0, 16000)
