"""A stream from the first sample to the last: what is silent, who is chosen and when, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cse import Turn
from cse.errors import ConfigError, CseError, HistoryError, InvalidAudioError, MissingCueError
from cse.extractor import Extractor
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.selection.calibration import Choice
from cse.streaming import StreamingExtractor
from cse.streaming.choosing import Patience
from cse.streaming.windowed import Windows
from cse.testing.models import SplitByFrequency, ToldChooser, two_tones
from tests.streaming.conftest import causal_extractor, stream_through

RATE = 16000
HISTORY = [Turn("Where shall we meet?", "Ana")]
QUICK = Windows(window_s=0.5, hop_s=0.1, lookahead_s=0.05)


class LearningChooser(ToldChooser):
    """Is surer of the high tone the more it has heard: certain after `certain_s` seconds.

    Args:
        certain_s: From when on.
        words_a_second: That it says it has understood; None says nothing of words.
    """

    def __init__(self, certain_s: float, *, words_a_second: float | None = None) -> None:
        super().__init__(1)
        self.certain_s = certain_s
        self.words_a_second = words_a_second
        self.heard_s: list[float] = []

    def choose(self, candidates: Any, sample_rate: int, *cues: Any, **more: Any) -> Choice:
        self.heard_s.append(len(candidates[0]) / sample_rate)
        self.asked.append({"history": cues[0], **more, "candidates": len(candidates)})
        share = min(0.95, 0.95 * self.heard_s[-1] / self.certain_s)
        probabilities = np.zeros(len(candidates))
        probabilities[-1] = share
        words = None
        if self.words_a_second is not None:
            words = np.full(len(candidates), self.words_a_second * self.heard_s[-1])
        return Choice(
            index=len(candidates) - 1, probabilities=probabilities, p_none=1 - share, abstained=False,
            target_present=True, audible=np.ones(len(candidates), bool), words=words,
            transcripts=("low", "high")[-len(candidates) :],
        )  # fmt: skip


def extractor_with(chooser: Any) -> Extractor:
    return Extractor(
        method=SeparateThenChoose(separator=SplitByFrequency(), chooser=chooser), name="by frequency"
    )


def stream_of(chooser: Any, **more: Any) -> StreamingExtractor:
    options = {"history": HISTORY, "sample_rate": RATE, "windows": QUICK, **more}
    return StreamingExtractor(extractor=extractor_with(chooser), **options)


def power(samples: np.ndarray, frequency_hz: float, rate: int = RATE) -> float:
    """Mean square of what is at one frequency."""
    time_s = np.arange(len(samples)) / rate
    return float(2 * np.abs(np.mean(samples * np.exp(-2j * np.pi * frequency_hz * time_s))) ** 2)


@pytest.mark.parametrize("before_choice", ["silence", "mixture"])
def test_the_voice_comes_when_the_choice_is_sure_and_not_before(before_choice):
    chooser = LearningChooser(certain_s=4.0)
    stream = stream_of(chooser, before_choice=before_choice)
    out = []
    for number, part in enumerate(np.split(two_tones(6.0), 60)):
        out.append(stream.push(part))
        assert (stream.choice is None) == (number < 40)  # asked at 2, 3 and 4 s, which is there at 4.1 s
    voice = np.concatenate([*out, stream.flush()])
    assert voice.shape == (6 * RATE,)
    choice = stream.choice
    assert (choice.index, choice.transcript) == (1, "high") and choice.probability >= 0.8
    at = round(choice.time_s * RATE)
    before, after = voice[1000:at], voice[at + 400 : -1000]
    if before_choice == "silence":
        assert not before.any()
    else:
        assert power(before, 300) == pytest.approx(0.02, rel=0.05) == power(before, 2500)
    assert power(after, 2500) == pytest.approx(0.02, rel=0.05)
    assert power(after, 300) < 1e-4
    assert np.abs(np.diff(voice[at - 100 : at + 500])).max() < 0.5  # fades, without a click


def test_questions_become_rarer_and_end_with_the_choice():
    chooser = LearningChooser(certain_s=1000.0)
    stream = stream_of(chooser, patience=Patience(listen_s=4.0))
    stream_through(stream, two_tones(20.0), RATE)
    assert stream.choice is None
    assert chooser.heard_s[:3] == pytest.approx([2.0, 3.0, 4.0])
    assert max(chooser.heard_s) == pytest.approx(4.0)  # what is kept is bounded
    assert len(chooser.heard_s) < 22
    chooser = LearningChooser(certain_s=2.0)
    stream_through(stream_of(chooser), two_tones(8.0), RATE)
    assert chooser.heard_s == pytest.approx([2.0])


def test_words_are_waited_for():
    chooser = LearningChooser(certain_s=1.0, words_a_second=0.6)
    stream = stream_of(chooser)
    stream_through(stream, two_tones(8.0), RATE)
    assert stream.choice.time_s == pytest.approx(5.0)


def test_a_lone_voice_is_waited_with():
    mixture = two_tones(12.0)
    time_s = np.arange(len(mixture)) / RATE
    lone = (0.2 * np.sin(2 * np.pi * 300 * time_s)).astype(np.float32)
    stream = stream_of(LearningChooser(certain_s=1.0))
    stream_through(stream, lone, RATE)
    assert stream.choice.time_s >= 8.0 and stream.choice.index == 0
    # the other begins after three seconds
    stream = stream_of(LearningChooser(certain_s=1.0))
    stream_through(stream, np.where(time_s < 3, lone, mixture), RATE)
    assert 3.0 < stream.choice.time_s < 6.0 and stream.choice.index == 1


def test_silence_is_no_speech():
    chooser = LearningChooser(certain_s=1.0)
    stream = stream_of(chooser)
    assert not stream_through(stream, np.zeros(5 * RATE, np.float32), 1000).any()
    assert chooser.heard_s == [] and stream.choice is None


def test_who_spoke_is_asked_for_at_the_end():
    chooser = LearningChooser(certain_s=1.0)
    stream = stream_of(chooser)
    assert not stream_through(stream, two_tones(1.5), 1000).any()
    assert stream.choice.index == 1 and chooser.heard_s == pytest.approx([1.5])


def test_the_chooser_is_told_what_there_is():
    chooser = LearningChooser(certain_s=1.0)
    stream_through(stream_of(chooser, target="Ben"), two_tones(3.0), RATE)
    assert chooser.asked == [{"history": HISTORY, "enrollment": None, "target": "Ben", "candidates": 2}]
    chooser = LearningChooser(certain_s=1.0)
    enrollment = two_tones(0.3)
    stream_through(stream_of(chooser, history=None, enrollment=enrollment), two_tones(3.0), RATE)
    assert chooser.asked[0]["history"] is None
    assert chooser.asked[0]["enrollment"].waveform.shape == (4800,)


@pytest.mark.parametrize("chunk", [777, (1, 5000, 160)])
@pytest.mark.parametrize("causal", [True, False])
def test_chunks_change_nothing(causal, chunk):
    def stream() -> StreamingExtractor:
        if causal:
            return StreamingExtractor(
                extractor=causal_extractor(), history=HISTORY, sample_rate=RATE, before_choice="mixture"
            )
        return stream_of(LearningChooser(certain_s=2.0), before_choice="mixture")

    mixture = two_tones(3.0)
    whole, pieces = stream_through(stream(), mixture, len(mixture)), stream_through(stream(), mixture, chunk)
    assert whole.shape == mixture.shape
    np.testing.assert_allclose(pieces, whole, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_other_sample_rates_come_out_as_they_went_in(rate):
    time_s = np.arange(4 * rate + 7) / rate
    mixture = 0.2 * np.sin(2 * np.pi * 300 * time_s) + 0.2 * np.sin(2 * np.pi * 2500 * time_s)
    stream = stream_of(ToldChooser(1), sample_rate=rate)
    out = []
    for part in np.split(mixture, range(480, len(mixture), 480)):
        out.append(stream.push(part))
        late = sum(map(len, np.split(mixture, [480 * len(out)])[:1])) - sum(map(len, out))
        assert late <= stream.latency_s * rate + 1
    voice = np.concatenate([*out, stream.flush()])
    assert voice.shape == mixture.shape and voice.dtype == np.float32
    wanted = 0.2 * np.sin(2 * np.pi * 2500 * time_s)
    np.testing.assert_allclose(voice[3 * rate : -rate // 10], wanted[3 * rate : -rate // 10], atol=0.02)


@pytest.mark.parametrize("causal", [True, False])
def test_nothing_depends_on_what_comes_after_the_latency(causal, rng):
    mixture = two_tones(4.0) + 0.01 * rng.standard_normal(4 * RATE).astype(np.float32)
    at, streams = 3 * RATE + 11, []
    for future in (mixture[at:], -3 * mixture[at:]):
        stream = (
            StreamingExtractor(extractor=causal_extractor(), history=HISTORY, sample_rate=RATE)
            if causal
            else stream_of(ToldChooser(1))
        )
        streams.append(stream_through(stream, np.concatenate([mixture[:at], future]), 1000))
    ready = at - round(stream.latency_s * RATE)
    np.testing.assert_allclose(streams[0][:ready], streams[1][:ready], atol=1e-5)
    assert not np.allclose(streams[0][at:], streams[1][at:], atol=1e-3)


def test_a_causal_stream_gives_the_voice_of_the_whole_recording():
    """But for its level, which is by what was heard until then."""
    mixture = two_tones(5.0)
    extractor = causal_extractor()
    whole = extractor.extract(mixture, HISTORY, sample_rate=RATE).waveform
    stream = StreamingExtractor(extractor=extractor, history=HISTORY, sample_rate=RATE)
    assert stream.latency_s == pytest.approx(63 / RATE)
    streamed = stream_through(stream, mixture, 160)
    assert stream.choice.time_s == pytest.approx(2.0)
    assert not streamed[: 2 * RATE].any()
    np.testing.assert_allclose(streamed[3 * RATE :], whole[3 * RATE :], atol=0.01 * np.abs(whole).max())
    assert power(streamed[3 * RATE :], 2500) == pytest.approx(0.02, rel=0.1)
    assert power(streamed[3 * RATE :], 300) < 0.001


def test_integers_are_samples_too():
    mixture = two_tones(3.0)
    voices = [
        stream_through(stream_of(ToldChooser(1)), samples, 1000)
        for samples in (mixture.astype(np.float64), np.round(mixture * 2**15).astype(np.int16))
    ]
    np.testing.assert_allclose(voices[0], voices[1], atol=1e-3)


def test_bad_samples_are_refused_and_the_stream_goes_on():
    stream = stream_of(ToldChooser(1))
    stream.push(two_tones(1.0))
    for bad in (
        np.array([np.nan]), np.array([np.inf]), np.zeros((2, 100)), np.array(0.5), np.array(["a"]),
        np.array([1j]), np.array([True]), np.array([1e9]), None,
    ):  # fmt: skip
        with pytest.raises(InvalidAudioError) as caught:
            stream.push(bad)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value) and "expected" in str(caught.value)
    assert len(stream.push(np.zeros(0))) == 0
    stream.push(two_tones(2.0))
    stream.flush()
    assert stream.choice.index == 1
    for call in (stream.flush, lambda: stream.push(np.zeros(5))):
        with pytest.raises(InvalidAudioError, match="is over"):
            call()


def test_an_empty_stream_is_empty():
    stream = stream_of(ToldChooser(1))
    assert stream.flush().shape == (0,) and stream.choice is None


def test_a_stream_that_failed_is_over():
    class Broken(ToldChooser):
        def choose(self, *_: Any, **__: Any) -> Choice:
            raise ConfigError("no such voice encoder")

    stream = stream_of(Broken())
    with pytest.raises(ConfigError, match="no such voice"):
        stream.push(two_tones(3.0))
    with pytest.raises(InvalidAudioError, match="is over"):
        stream.push(two_tones(1.0))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"history": None}, MissingCueError),
        ({"history": 7}, HistoryError),
        ({"sample_rate": 0}, InvalidAudioError),
        ({"sample_rate": 16000.5}, InvalidAudioError),
        ({"sample_rate": 10**9}, InvalidAudioError),
        ({"before_choice": "noise"}, ConfigError),
        ({"enrollment": np.zeros(0)}, InvalidAudioError),
    ],
)
def test_what_makes_no_stream_is_refused_at_once(options, error):
    with pytest.raises(error):
        stream_of(ToldChooser(1), **options)


@pytest.mark.parametrize("wrong", [{"sure_above": 1.5}, {"min_words": -1.0}, {"listen_s": float("nan")}])
def test_patience_has_limits(wrong):
    with pytest.raises(ConfigError):
        Patience(**wrong)


def test_a_model_that_is_told_while_it_listens_is_refused():
    class Told:
        method: Any = object()
        name = "h_cont_ext"

    with pytest.raises(CseError, match="expected one that separates first"):
        StreamingExtractor(extractor=Told(), history=HISTORY, sample_rate=RATE)  # type: ignore[arg-type]
