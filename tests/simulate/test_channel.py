"""What a channel does to a mixture, measured."""

from __future__ import annotations

import numpy as np
import pytest

from cse.errors import ConfigError
from cse.testing.corpus import speech_like
from simulate.channel import Channel, ChannelConfig, opus_round_trip, telephone_band


def lag(first: np.ndarray, second: np.ndarray) -> int:
    correlation = np.correlate(np.pad(second, len(first)), first, mode="valid")
    return int(np.argmax(correlation)) - len(first)


def level_db(waveform: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))) + 1e-12))


@pytest.mark.parametrize("sample_rate", [8000, 16000])
@pytest.mark.parametrize("kbps", [16.0, 32.0])
def test_opus_keeps_length_time_and_level(sample_rate: int, kbps: float) -> None:
    pytest.importorskip("av")
    for seed, duration_s in enumerate((0.31, 1.0, 2.1234)):
        speech = speech_like(duration_s, talker=seed, sample_rate=sample_rate, seed=seed)
        heard = opus_round_trip(speech, sample_rate, kbps)
        assert heard.shape == speech.shape and heard.dtype == np.float32
        assert lag(speech, heard) == 0
        assert level_db(heard) == pytest.approx(level_db(speech), abs=1)


def test_opus_loses_no_end() -> None:
    pytest.importorskip("av")
    tone = 0.3 * np.sin(2 * np.pi * 400 * np.arange(5000) / 8000).astype(np.float32)
    heard = opus_round_trip(tone, 8000, 24.0)
    assert level_db(heard[-80:]) == pytest.approx(level_db(tone[-80:]), abs=1)


def test_opus_loses_less_at_a_higher_rate() -> None:
    pytest.importorskip("av")
    speech = speech_like(2.0, talker=1, sample_rate=16000)
    lost_db = [level_db(opus_round_trip(speech, 16000, kbps) - speech) for kbps in (16.0, 24.0, 32.0)]
    assert level_db(speech) - 5 > lost_db[0] > lost_db[1] > lost_db[2]
    np.testing.assert_array_equal(opus_round_trip(speech, 16000, 16.0), opus_round_trip(speech, 16000, 16.0))


@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_telephone_band(sample_rate: int) -> None:
    time_s = np.arange(sample_rate) / sample_rate
    inside = slice(sample_rate // 4, -sample_rate // 4)
    gains_db = {}
    for frequency_hz in (60, 100, 400, 1000, 3000, 3250, 3650, 3900):
        tone = np.sin(2 * np.pi * frequency_hz * time_s)
        heard = telephone_band(tone, sample_rate)
        gains_db[frequency_hz] = level_db(heard[inside]) - level_db(tone[inside])
    assert max(gains_db[f] for f in (60, 100, 3650, 3900)) < -40
    assert all(abs(gains_db[f]) < 0.5 for f in (400, 1000, 3000, 3250))
    speech = speech_like(1.0, talker=2, sample_rate=sample_rate)
    assert telephone_band(speech, sample_rate).shape == speech.shape
    assert lag(speech, telephone_band(speech, sample_rate)) == 0


def test_gain_and_clipping() -> None:
    speech = speech_like(1.0, talker=0, sample_rate=8000)  # peak 0.5
    np.testing.assert_allclose(Channel(gain_db=-6.0).apply(speech, 8000), speech * 10 ** (-6 / 20), rtol=1e-6)
    clipped = Channel(clip_level=0.4).apply(speech, 8000)
    np.testing.assert_allclose(clipped, np.clip(speech, -0.2, 0.2), atol=1e-7)
    loud = Channel(gain_db=12.0).apply(speech, 8000)
    np.testing.assert_allclose(loud, np.clip(speech * 10 ** (12 / 20), -1, 1), rtol=1e-5)
    assert Channel().changes_nothing
    np.testing.assert_array_equal(Channel().apply(speech, 8000), speech)


def test_draws_are_in_the_asked_shares_and_ranges() -> None:
    config = ChannelConfig(
        gain_db=(-10.0, -5.0), clip_probability=0.3, telephone_probability=0.2, opus_probability=0.6
    )
    drawn = [config.draw(np.random.default_rng(seed)) for seed in range(600)]
    assert all(-10 <= one.gain_db <= -5 for one in drawn)
    assert np.mean([one.clip_level is not None for one in drawn]) == pytest.approx(0.3, abs=0.07)
    assert np.mean([one.telephone for one in drawn]) == pytest.approx(0.2, abs=0.07)
    assert np.mean([one.opus_kbps is not None for one in drawn]) == pytest.approx(0.6, abs=0.07)
    assert all(16 <= one.opus_kbps <= 32 for one in drawn if one.opus_kbps is not None)
    # one option does not change what another one draws
    without = ChannelConfig(gain_db=(-10.0, -5.0), opus_probability=0.6)
    for seed, one in enumerate(drawn):
        other = without.draw(np.random.default_rng(seed))
        assert (other.gain_db, other.opus_kbps) == (one.gain_db, one.opus_kbps)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"opus_probability": 2.0}, "channel.opus_probability: got 2.0, expected a share"),
        ({"gain_db": (3.0, -3.0)}, r"channel.gain_db: got \[3.0, -3.0\]"),
        ({"clip_level": (0.5, 1.5)}, "channel.clip_level: got 1.5, expected at most 1"),
        ({"clip_level": (0.0, 0.5)}, "channel.clip_level: got"),
        ({"opus_kbps": (1.0, 16.0)}, "channel.opus_kbps: got .* expected 6 to 128"),
    ],
)
def test_wrong_options_say_so(options: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ChannelConfig(**options)
