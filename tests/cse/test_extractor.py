"""The inference path, with a separator that really separates (by frequency) and a chooser that is told what to say."""

from __future__ import annotations

import asyncio
import io
import threading

import numpy as np
import pytest
import soundfile
import torch

from cse import Extractor, Turn
from cse.audio import read_audio
from cse.errors import (
    CancelledError,
    CheckpointError,
    ConfigError,
    CseError,
    HistoryError,
    InvalidAudioError,
    MissingCueError,
    TargetAbsentError,
)
from cse.evaluation.metrics import si_sdr
from cse.testing.models import SAMPLE_RATE as RATE
from cse.testing.models import told_extractor

HISTORY = [Turn("Where shall we meet?", "Ana")]


def voices(rate: int = RATE, seconds: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    time = np.arange(round(rate * seconds)) / rate
    low, high = (0.2 * np.sin(2 * np.pi * hz * time).astype(np.float32) for hz in (300, 2500))
    return low, high


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_rate_length_and_level_are_those_of_the_recording(rate, tmp_path):
    low, high = voices(rate, 1.337)
    soundfile.write(tmp_path / "note.wav", low + 0.5 * high, rate)
    result = told_extractor(1).extract(tmp_path / "note.wav", HISTORY)
    assert result.sample_rate == rate
    assert result.waveform.shape == low.shape
    assert result.waveform.dtype == np.float32
    assert si_sdr(result.waveform, high) > 15
    assert np.std(result.waveform) == pytest.approx(np.std(0.5 * high), rel=0.05)
    result.save(tmp_path / "voice.wav")
    info = soundfile.info(tmp_path / "voice.wav")
    assert (info.frames, info.samplerate) == (len(low), rate)


def test_a_text_is_no_recording():
    for read in (read_audio, lambda text: told_extractor().extract(text, HISTORY)):
        with pytest.raises(InvalidAudioError, match="^x{300}…: cannot read: File name too long$"):
            read("x" * 5000)


def test_every_form_of_input_gives_the_same_voice(tmp_path):
    low, high = voices()
    mixture = low + high
    path = tmp_path / "note.wav"
    soundfile.write(path, mixture, RATE, subtype="FLOAT")
    expected = told_extractor().extract(path, HISTORY).waveform
    data = path.read_bytes()
    for source in (str(path), data, io.BytesIO(data)):
        assert np.array_equal(told_extractor().extract(source, HISTORY).waveform, expected)
    for array in (mixture, torch.from_numpy(mixture), np.stack([mixture, mixture])):
        result = told_extractor().extract(array, HISTORY, sample_rate=RATE)
        assert np.allclose(result.waveform, expected, atol=1e-6)


def test_long_recordings_go_through_windows_and_come_out_whole():
    low, high = voices(seconds=9.3)
    result = told_extractor(window_s=2.0, overlap_s=0.5).extract(low + high, HISTORY, sample_rate=RATE)
    assert len(result.waveform) == len(low)
    assert si_sdr(result.waveform, low) > 30


def test_candidates_and_dictionary_follow_the_contract():
    low, high = voices()
    result = told_extractor(1).extract(low + high, HISTORY, sample_rate=RATE)
    assert [len(candidate.waveform) for candidate in result.candidates] == [len(low)] * 2
    assert result.waveform is result.candidates[1].waveform
    assert result.probability == result.candidates[1].probability
    assert set(result.to_dict("voice.wav")) == set(
        "output probability abstained target_present talkers candidates context_turns turn_attribution duration_s "
        "sample_rate real_time_factor model warnings".split()
    )
    assert result.to_dict("voice.wav")["context_turns"] == 1


def test_the_chooser_gets_history_voice_and_name():
    low, high = voices()
    told = told_extractor()
    told.extract(low + high, HISTORY, sample_rate=RATE, enrollment=low, target="Ben")
    asked = told.method.chooser.asked[0]
    assert asked["history"] == HISTORY
    assert asked["target"] == "Ben"
    assert np.allclose(asked["enrollment"].waveform, low)
    assert asked["sample_rate"] == RATE


def test_the_enrollment_may_come_with_a_rate_of_its_own():
    low, high = voices()
    told = told_extractor()
    told.extract((low + high, RATE), HISTORY, enrollment=(low[::2], RATE // 2))
    enrollment = told.method.chooser.asked[0]["enrollment"]
    assert enrollment.sample_rate == RATE // 2 and len(enrollment.waveform) == len(low[::2])


def test_without_history_and_enrollment_the_cue_is_missing():
    low, _ = voices()
    with pytest.raises(MissingCueError, match="expected at least one"):
        told_extractor().extract(low, sample_rate=RATE)


def test_an_empty_history_is_a_guess_and_says_so():
    low, high = voices()
    result = told_extractor().extract(low + high, [], sample_rate=RATE)
    assert any("guess" in warning for warning in result.warnings)
    assert not told_extractor().extract(low + high, HISTORY, sample_rate=RATE).warnings


@pytest.mark.parametrize(
    ("audio", "error"),
    [
        ("missing.wav", InvalidAudioError),
        (b"", InvalidAudioError),
        (b"no audio", InvalidAudioError),
        (np.zeros(RATE, np.float32), InvalidAudioError),
        (np.full(RATE, np.nan, np.float32), InvalidAudioError),
        (np.ones((50, RATE), np.float32), InvalidAudioError),
        (np.ones((0, RATE), np.float32), InvalidAudioError),
        (np.ones(100, np.float32), InvalidAudioError),
    ],
)
def test_bad_audio_is_a_clear_error(audio, error):
    rate = RATE if isinstance(audio, np.ndarray) else None
    with pytest.raises(error) as caught:
        told_extractor().extract(audio, HISTORY, sample_rate=rate)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("history", [3, [3], [{"words": "hi"}], [Turn(5)]])
def test_a_history_that_is_no_text_is_a_clear_error(history):
    low, _ = voices()
    with pytest.raises(HistoryError):
        told_extractor().extract(low, history, sample_rate=RATE)


def test_absent_targets_are_treated_as_asked():
    low, high = voices()
    absent = told_extractor(p_none=0.7)

    def result(policy):
        return absent.extract(low + high, HISTORY, sample_rate=RATE, on_absent=policy)

    assert not result("best").target_present
    assert si_sdr(result("best").waveform, low) > 30
    assert not result("silence").waveform.any()
    assert np.array_equal(result("passthrough").waveform, low + high)
    with pytest.raises(TargetAbsentError, match="nobody") as caught:
        result("error")
    assert caught.value.exit_code == 3


class Unread(io.BytesIO):
    """A recording that must not be touched."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("the work began")


def test_a_mistyped_policy_is_refused_before_the_work():
    with pytest.raises(ConfigError, match=r"on_absent: got 'eror', expected one of best, error, silence"):
        told_extractor().extract(Unread(b"RIFF"), HISTORY, on_absent="eror")


def test_the_name_of_a_file_is_not_taken_for_what_was_said(tmp_path):
    file = tmp_path / "what Ana said"
    file.write_text("Ana: Where shall we meet?")
    for history in (str(file), "chat.txt", "no/such/Export.ZIP "):
        with pytest.raises(HistoryError, match=r"pass Path\(\.\.\.\)") as caught:
            told_extractor().extract(Unread(b"RIFF"), history)
        assert history not in str(caught.value), "it might be what people wrote"
    low, high = voices()
    for text, turns in (("Look into chat.txt", 1), ("Ana: Hi\nBen: chat.txt", 2), ("meet?", 1)):
        assert told_extractor().extract(low + high, text, sample_rate=RATE).context_turns == turns
    assert told_extractor().extract(low + high, file, sample_rate=RATE).context_turns == 1


def test_it_stops_when_asked_to():
    low, high = voices(seconds=5)
    with pytest.raises(CancelledError):
        told_extractor(window_s=1.0, overlap_s=0.2).extract(
            low + high, HISTORY, sample_rate=RATE, should_stop=lambda: True
        )


def test_batches_and_coroutines_give_what_single_calls_give():
    low, high = voices()
    one = told_extractor()
    alone = one.extract(low + high, HISTORY, sample_rate=RATE).waveform
    batch = one.extract_batch([low + high, low], [HISTORY, HISTORY], sample_rate=RATE)
    assert np.array_equal(batch[0].waveform, alone)
    assert len(batch) == 2
    later = asyncio.run(one.aextract(low + high, HISTORY, sample_rate=RATE))
    assert np.array_equal(later.waveform, alone)


def test_threads_share_an_told_extractor():
    low, high = voices()
    one = told_extractor()
    alone = one.extract(low + high, HISTORY, sample_rate=RATE).waveform
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(one.extract(low + high, HISTORY, sample_rate=RATE).waveform)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(waveform, alone) for waveform in found)


def test_warnings_of_the_recording_reach_the_result():
    low, high = voices()
    clipped = np.clip(20 * (low + high), -1, 1)
    assert read_audio(clipped, sample_rate=RATE).warnings
    assert told_extractor().extract(clipped, HISTORY, sample_rate=RATE).warnings


def test_a_model_that_does_not_separate_is_refused(tmp_path):
    from cse.checkpoint import save_checkpoint
    from cse.models.filterbanks import LearnedFilterbank

    bank = {"_target_": "cse.models.filterbanks.LearnedFilterbank", "channels": 4}
    save_checkpoint(
        tmp_path / "m",
        {"name": "m", "model": bank},
        LearnedFilterbank(channels=4).state_dict(),
        "# a filterbank",
    )
    with pytest.raises(CheckpointError, match="expected a Separator"):
        Extractor.from_pretrained(tmp_path / "m")


def test_errors_of_users_are_no_bugs():
    assert all(issubclass(error, CseError) for error in (InvalidAudioError, HistoryError, MissingCueError))
