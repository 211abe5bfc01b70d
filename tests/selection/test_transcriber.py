from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from cse.audio import resample
from cse.errors import MissingExtraError
from cse.selection.sphinx import PocketSphinxTranscriber
from cse.selection.transcriber import Transcript, Word, prepare_speech, split_at_pauses, transcribe_all
from cse.testing.flite import flite_available, synthesize

needs_pocketsphinx = pytest.mark.skipif(
    importlib.util.find_spec("pocketsphinx") is None, reason="the extra [offline] is not installed"
)


@pytest.fixture(scope="module")
def transcriber() -> PocketSphinxTranscriber:
    return PocketSphinxTranscriber()


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """A sentence about money, (T,) at 16 kHz."""
    if not flite_available():
        pytest.skip("flite, which speaks the sentences of this test, is not on the PATH")
    return synthesize("I can only spend three hundred dollars a month.", voice="rms")


@pytest.fixture(scope="module")
def other_speech() -> np.ndarray:
    if not flite_available():
        pytest.skip("flite, which speaks the sentences of this test, is not on the PATH")
    return synthesize("The weather was very cold in the north.", voice="slt")


class Echo:
    """Hears one word for each waveform: its length."""

    name = "echo"

    def transcribe(self, waveform: np.ndarray, sample_rate: int) -> Transcript:
        return Transcript((Word(str(len(waveform)), 1.0, 0.0, len(waveform) / sample_rate),))


class BatchEcho(Echo):
    def __init__(self) -> None:
        self.batches: list[int] = []

    def transcribe_batch(self, waveforms: Sequence[np.ndarray], sample_rate: int) -> list[Transcript]:
        self.batches.append(len(waveforms))
        return [self.transcribe(waveform, sample_rate) for waveform in waveforms]


def test_a_transcriber_with_batches_gets_all_voices_at_once() -> None:
    voices = [np.zeros(3), np.zeros(5)]
    batch = BatchEcho()
    assert [one.text for one in transcribe_all(batch, voices, 8000)] == ["3", "5"]
    assert batch.batches == [2]
    assert [one.text for one in transcribe_all(Echo(), voices, 8000)] == ["3", "5"]


def test_a_transcript_without_words_is_empty() -> None:
    assert Transcript().text == ""
    assert Transcript().expected_words == 0


def test_pieces_cover_everything_and_are_cut_at_the_quietest_moment(rng: np.random.Generator) -> None:
    speech = rng.standard_normal(16000 * 10)
    for pause in (3.5, 6.7):
        speech[int(pause * 16000) : int((pause + 0.2) * 16000)] *= 0.01
    pieces = split_at_pauses(speech, 16000, 4.0)
    assert pieces[0][0] == 0 and pieces[-1][1] == len(speech)
    assert all(end == start for (_, end), (start, _) in pairwise(pieces))
    assert all(end - start <= 4.0 * 16000 for start, end in pieces)
    cuts_s = [end / 16000 for _, end in pieces[:-1]]
    assert 3.5 <= cuts_s[0] <= 3.7 and 6.7 <= cuts_s[1] <= 6.9


def test_short_speech_stays_in_one_piece() -> None:
    assert split_at_pauses(np.ones(16000), 16000, 4.0) == [(0, 16000)]
    assert split_at_pauses(np.zeros(0), 16000, 4.0) == [(0, 0)]


@pytest.mark.parametrize("voice", [np.zeros(8000), np.zeros(0), np.full(8000, 5e-5)])
def test_silence_is_not_prepared_for_recognition(voice: np.ndarray) -> None:
    assert prepare_speech(voice, 8000) is None


@needs_pocketsphinx
def test_words_come_clean_with_confidences_and_times(
    transcriber: PocketSphinxTranscriber, speech: np.ndarray
) -> None:
    transcript = transcriber.transcribe(speech, 16000)
    heard = transcript.text.split()
    assert {"three", "hundred", "dollars", "month"} <= set(heard)
    assert not any(mark in word for word in heard for mark in "<>[]()+")
    assert all(0 <= word.confidence <= 1 for word in transcript.words)
    times = [time for word in transcript.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert times[0] >= 0 and times[-1] <= len(speech) / 16000 + 0.01


@needs_pocketsphinx
def test_level_and_rate_do_not_matter(transcriber: PocketSphinxTranscriber, speech: np.ndarray) -> None:
    text = transcriber.transcribe(speech, 16000).text
    assert transcriber.transcribe(0.01 * speech, 16000).text == text
    assert "hundred dollars" in transcriber.transcribe(resample(speech, 16000, 44100), 44100).text


@needs_pocketsphinx
def test_what_was_heard_before_does_not_matter(
    transcriber: PocketSphinxTranscriber, speech: np.ndarray, other_speech: np.ndarray
) -> None:
    """The decoder adapts its cepstral mean to what it hears, across utterances."""
    first = transcriber.transcribe(speech, 16000)
    transcriber.transcribe(0.2 * other_speech, 16000)
    assert transcriber.transcribe(speech, 16000) == first


@needs_pocketsphinx
def test_long_speech_is_decoded_in_pieces(speech: np.ndarray, other_speech: np.ndarray) -> None:
    pause = np.zeros(8000, np.float32)
    both = np.concatenate([speech, pause, other_speech])
    max_segment_s = (len(speech) + 8000) / 16000
    transcript = PocketSphinxTranscriber(max_segment_s=max_segment_s).transcribe(both, 16000)
    assert "hundred dollars" in transcript.text and "weather" in transcript.text
    weather = next(word for word in transcript.words if word.text == "weather")
    assert weather.start_s > len(speech) / 16000


@needs_pocketsphinx
def test_silence_noise_and_clicks_have_no_words(
    transcriber: PocketSphinxTranscriber, rng: np.random.Generator
) -> None:
    assert transcriber.transcribe(np.zeros(16000, np.float32), 16000).words == ()
    assert transcriber.transcribe(np.ones(300, np.float32), 16000).words == ()
    noise = transcriber.transcribe((0.1 * rng.standard_normal(16000)).astype(np.float32), 16000)
    assert noise.expected_words < 1


@needs_pocketsphinx
def test_threads_share_a_transcriber(
    transcriber: PocketSphinxTranscriber, speech: np.ndarray, other_speech: np.ndarray
) -> None:
    voices = [speech, other_speech]
    expected = [transcriber.transcribe(voice, 16000) for voice in voices]
    heard: list[Transcript | None] = [None, None]

    def work(number: int) -> None:
        heard[number] = transcriber.transcribe(voices[number], 16000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == expected


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(MissingExtraError, match=r'pip install "cse\[offline\]"'):
        PocketSphinxTranscriber()
