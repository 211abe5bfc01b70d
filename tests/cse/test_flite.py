"""Speech synthesis: what the factors do to the sound, and what a user gets wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.errors import CseError
from cse.testing.flite import VOICES, FliteMissingError, flite_available, speak, synthesize

needs_flite = pytest.mark.skipif(
    not flite_available(), reason="flite is not installed (apt-get install flite)"
)
SENTENCE = "We were away a year ago."


@needs_flite
@pytest.mark.parametrize("voice", VOICES)
def test_every_voice_speaks_at_the_asked_rate(voice: str, tmp_path: Path):
    seconds = speak(SENTENCE, tmp_path / "voice.wav", voice=voice, sample_rate=8000)
    info = soundfile.info(tmp_path / "voice.wav")
    assert info.samplerate == 8000
    assert 1.0 < seconds == info.duration < 4.0


@needs_flite
@pytest.mark.parametrize("pitch", [0.85, 1.2])
def test_pitch_moves_the_fundamental_and_keeps_the_duration(pitch: float):
    plain, changed = synthesize(SENTENCE), synthesize(SENTENCE, pitch=pitch)
    assert len(changed) == pytest.approx(len(plain), rel=0.03)
    assert _fundamental_hz(changed) / _fundamental_hz(plain) == pytest.approx(pitch, rel=0.05)


@needs_flite
def test_rate_changes_the_duration_and_keeps_the_fundamental():
    plain, fast = synthesize(SENTENCE), synthesize(SENTENCE, rate=1.25)
    assert len(plain) / len(fast) == pytest.approx(1.25, rel=0.05)
    assert _fundamental_hz(fast) == pytest.approx(_fundamental_hz(plain), rel=0.05)


@needs_flite
def test_text_is_never_taken_for_an_option_or_a_command():
    assert len(synthesize("-o /dev/null; $(false) `false`, we said")) > 16000


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"text": " "}, "empty text"),
        ({"text": "Hello.", "voice": "nobody"}, "'nobody'.*slt"),
        ({"text": "Hello.", "pitch": 5.0}, "pitch 5.0"),
        ({"text": "Hello.", "rate": 0.0}, "rate 0.0"),
    ],
)
def test_wrong_arguments_say_what_was_expected(arguments: dict, expected: str):
    with pytest.raises(CseError, match=expected):
        synthesize(**arguments)


def test_without_flite_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not flite_available()
    with pytest.raises(FliteMissingError, match="apt-get install flite"):
        speak("Hello.", tmp_path / "voice.wav")
    assert not (tmp_path / "voice.wav").exists()


def _fundamental_hz(waveform: np.ndarray) -> float:
    """Median over the voiced frames of the strongest autocorrelation lag between 70 Hz and 400 Hz."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 1024)[::256]
    frames = frames[np.std(frames, axis=1) > 0.3 * np.std(waveform)]
    spectrum = np.fft.rfft(frames * np.hanning(1024), 2048)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:, : 16000 // 70]
    lags = np.argmax(correlation[:, 40:], axis=1) + 40
    return float(16000 / np.median(lags))
