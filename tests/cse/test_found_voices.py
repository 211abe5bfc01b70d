"""Who is returned of a recording with one, two or three talkers, and how it is brought to the recording's rate."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from cse import Turn
from cse.audio import resample
from cse.errors import CancelledError, InvalidAudioError
from cse.extraction import Extraction
from cse.lazy_waveform import at_rate
from cse.testing.models import SAMPLE_RATE as RATE
from cse.testing.models import told_extractor

HISTORY = [Turn("Where shall we meet?", "Ana")]
THREE_SLOTS = (1000.0, 2000.0)


def tone(frequency_hz: float, rate: int = RATE, seconds: float = 2.0, level: float = 0.2) -> np.ndarray:
    time_s = np.arange(round(rate * seconds)) / rate
    return (level * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def extract(audio: np.ndarray, rate: int = RATE, index: int = 0, long_s: float = 600.0) -> Extraction:
    extractor = told_extractor(index, limits_hz=THREE_SLOTS)
    extractor.long_s = long_s
    return extractor.extract(audio, HISTORY, sample_rate=rate)


@pytest.mark.parametrize("talkers", [1, 2, 3])
def test_talkers_are_those_who_talk_not_the_outputs_of_the_separator(talkers):
    voices = [tone(hz) for hz in (300, 1500, 3000)][:talkers]
    result = extract(sum(voices), index=talkers - 1)
    assert len(result.candidates) == result.to_dict()["talkers"] == talkers
    assert np.allclose(result.waveform, voices[-1], atol=0.03)


def test_a_voice_20_db_below_the_loudest_is_nobody():
    faint = extract(tone(300) + tone(1500, level=0.2 * 10 ** (-23 / 20)))
    heard = extract(tone(300) + tone(1500, level=0.2 * 10 ** (-17 / 20)))
    assert [len(result.candidates) for result in (faint, heard)] == [1, 2]


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_one_talker_comes_through_untouched_at_any_rate(rate):
    voice = tone(300, rate) + 0.01
    result = extract(voice, rate)
    assert np.array_equal(result.waveform, voice)
    assert np.array_equal(result.candidates[0].waveform, voice)
    assert 0 < result.probability < 1


def test_one_talker_can_be_the_wrong_one():
    result = told_extractor(limits_hz=THREE_SLOTS, p_none=0.8).extract(
        tone(300), HISTORY, sample_rate=RATE, on_absent="silence"
    )
    assert not result.target_present
    assert not result.waveform.any()
    assert result.candidates[0].waveform.any()


def test_one_talker_of_a_long_stereo_file_is_read_again(tmp_path):
    voice = tone(300, 48000)
    soundfile.write(tmp_path / "note.wav", np.stack([voice, 0.5 * voice], 1), 48000, subtype="FLOAT")
    extractor = told_extractor(limits_hz=THREE_SLOTS)
    extractor.long_s = 1.0
    result = extractor.extract(tmp_path / "note.wav", HISTORY)
    assert np.array_equal(result.waveform, np.float32(0.5) * (voice + np.float32(0.5) * voice))


def test_a_long_file_that_changed_meanwhile_is_an_error(tmp_path):
    soundfile.write(tmp_path / "note.wav", tone(300), RATE)
    extractor = told_extractor(limits_hz=THREE_SLOTS)
    extractor.long_s = 1.0
    result = extractor.extract(tmp_path / "note.wav", HISTORY)
    soundfile.write(tmp_path / "note.wav", tone(300, seconds=1.5), RATE)
    with pytest.raises(InvalidAudioError, match="24000 samples where there were 32000"):
        result.save(tmp_path / "voice.wav")
    assert not (tmp_path / "voice.wav").exists()


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
@pytest.mark.parametrize("suffix", [".wav", ".ogg"])
def test_a_long_recording_is_written_as_a_short_one_is(tmp_path, rate, suffix):
    """In blocks, and without the waveform that `waveform` would make."""
    mixture = tone(300, rate, 1.237) + tone(1500, rate, 1.237)
    short = extract(mixture, rate)
    short.save(tmp_path / f"short{suffix}")
    long = extract(mixture, rate, long_s=0.5)
    long.save(tmp_path / f"long{suffix}")
    lazy = long.__dict__["waveform"]
    assert lazy._array is None, "the whole was never there"
    assert 0 < np.abs(long.waveform - short.waveform).max() < 1e-3, "half precision"
    assert long.waveform is long.candidates[0].waveform
    ours, theirs = (soundfile.read(tmp_path / f"{name}{suffix}")[0] for name in ("long", "short"))
    assert ours.shape == theirs.shape
    error_db = 10 * np.log10(1e-12 + np.mean((ours - theirs) ** 2) / np.mean(theirs**2))
    assert error_db < (-55 if suffix == ".wav" else -10), "Opus makes more of the last bit"


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_long_recording_of_undivided_integers_keeps_its_samples():
    """24 bits as floating point are beyond half precision."""
    mixture = 2.0**22 * (tone(300, RATE, 1.2) + tone(1500, RATE, 1.2))
    short, long = extract(mixture), extract(mixture, long_s=0.5)
    assert np.abs(long.waveform - short.waveform).max() < 1e-3 * np.abs(short.waveform).max()


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(16000, 48000), (16000, 44100), (8000, 16000), (16000, 16000)]
)
def test_a_lazy_waveform_is_the_eager_one(from_hz, to_hz):
    rng = np.random.default_rng(0)
    for samples in rng.integers(1, 3_000_000, 4):
        needed = -(-int(samples) * from_hz // to_hz)
        estimate = rng.standard_normal(needed).astype(np.float32)
        eager = resample(estimate, from_hz, to_hz)[:samples]
        lazy = at_rate(estimate, from_hz, to_hz, samples=int(samples))
        blocks = list(lazy.blocks())
        assert np.allclose(np.concatenate(blocks), eager, atol=1e-5)
        assert lazy.array().shape == (samples,)
        assert lazy.array() is lazy.array()


def test_only_so_much_of_each_voice_is_listened_to_and_that_is_said():
    told = told_extractor(limits_hz=THREE_SLOTS)
    told.method.listen_s = 20.0
    result = told.extract(tone(300, seconds=65) + tone(1500, seconds=65), HISTORY, sample_rate=RATE)
    heard = told.method.chooser.asked[0]["candidates"]
    assert all(10 * RATE < len(voice) <= 21 * RATE for voice in heard)
    assert any("by 20 s of each voice" in warning for warning in result.warnings)
    assert len(result.waveform) == 65 * RATE


def test_it_stops_in_the_middle_of_a_long_recording():
    def answers() -> Iterator[bool]:
        yield from [False] * 3
        yield True

    asked = answers()
    with pytest.raises(CancelledError):
        told_extractor(window_s=2.0, overlap_s=0.5).extract(
            tone(300, seconds=20), HISTORY, sample_rate=RATE, should_stop=lambda: next(asked)
        )


def test_memory_for_a_quarter_of_an_hour_at_48_khz(tmp_path):
    """Above what the process takes with a short recording: what is read and written whole would be 520 MB alone."""
    code = """
import re, sys, numpy as np, soundfile, torch
from cse import Turn
from cse.testing.models import told_extractor

def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

def write(seconds):
    time_s = np.arange(48000) / 48000
    second = 0.2 * np.sin(2 * np.pi * 300 * time_s) + 0.2 * np.sin(2 * np.pi * 1500 * time_s)
    with soundfile.SoundFile(sys.argv[1], "w", 48000, 2) as file:
        for _ in range(seconds):
            file.write(np.stack([second, second], 1))

def extract():
    result = told_extractor().extract(sys.argv[1], [Turn("Hi")])
    assert len(result.candidates) == 2
    result.save(sys.argv[2])

write(60)
extract()
before = peak_mb()
write(900)
extract()
print(peak_mb() - before, soundfile.info(sys.argv[2]).frames)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs /proc")
    files = [str(tmp_path / name) for name in ("note.wav", "voice.wav")]
    finished = subprocess.run(
        [sys.executable, "-c", code, *files], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    growth_mb, frames = finished.stdout.split()
    assert int(frames) == 900 * 48000
    assert float(growth_mb) < 250
