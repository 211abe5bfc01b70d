from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import cse.selection.moonshine as moonshine
from cse.audio import load_waveform, resample
from cse.errors import CheckpointError, MissingExtraError
from cse.selection.moonshine import MoonshineTranscriber
from cse.selection.moonshine_network import DECODER, ENCODER, loop_length
from cse.selection.moonshine_vocabulary import Token, join_words, read_vocabulary
from cse.selection.transcriber import Transcript
from cse.testing.flite import flite_available, synthesize

needs_moonshine = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("moonshine_voice", "onnxruntime")),
    reason="the extra [offline] is not installed",
)


@pytest.fixture(scope="module")
def transcriber() -> MoonshineTranscriber:
    return MoonshineTranscriber()


def spoken(text: str, voice: str) -> np.ndarray:
    """(T,) at 16 kHz."""
    if not flite_available():
        pytest.skip("flite, which speaks the sentences of this test, is not on the PATH")
    return synthesize(text, voice=voice)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return spoken("I can only spend a little money every month.", "rms")


@pytest.fixture(scope="module")
def other_speech() -> np.ndarray:
    return spoken("The weather was very cold in the north.", "slt")


@needs_moonshine
def test_words_come_as_written_with_confidences_and_times(
    transcriber: MoonshineTranscriber, speech: np.ndarray
) -> None:
    transcript = transcriber.transcribe(speech, 16000)
    assert transcript.text.startswith("I can only spend a little money every ") and transcript.text[-1] == "."
    assert all(0.2 < word.confidence <= 1 for word in transcript.words)
    times = [time for word in transcript.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert times[0] == 0 and times[-1] == pytest.approx(len(speech) / 16000)


@needs_moonshine
def test_level_and_rate_do_not_matter(transcriber: MoonshineTranscriber, speech: np.ndarray) -> None:
    text = transcriber.transcribe(speech, 16000).text
    assert transcriber.transcribe(0.01 * speech, 16000).text == text
    for rate in (8000, 44100):
        assert "spend a little money" in transcriber.transcribe(resample(speech, 16000, rate), rate).text


@needs_moonshine
def test_silence_and_clicks_have_no_words(transcriber: MoonshineTranscriber) -> None:
    nothing = [np.zeros(16000), np.zeros(0), np.full(8000, 5e-5), np.ones(300)]
    heard = transcriber.transcribe_batch([each.astype(np.float32) for each in nothing], 16000)
    assert heard == [Transcript()] * 4


@needs_moonshine
def test_noise_is_not_believed(transcriber: MoonshineTranscriber, rng: np.random.Generator) -> None:
    for seconds in (0.1, 1.0, 4.0):
        noise = rng.standard_normal(round(seconds * 16000)).astype(np.float32)
        assert transcriber.transcribe(noise, 16000).expected_words < 1


@needs_moonshine
def test_a_short_answer_is_heard(transcriber: MoonshineTranscriber) -> None:
    yes = np.trim_zeros(spoken("Yes.", "slt"))
    assert len(yes) < 16000
    assert "yes" in transcriber.transcribe(yes, 16000).text.lower()


@needs_moonshine
def test_long_speech_is_recognised_in_pieces(speech: np.ndarray, other_speech: np.ndarray) -> None:
    pause = np.zeros(8000, np.float32)
    both = np.concatenate([speech, pause, other_speech])
    transcriber = MoonshineTranscriber(max_segment_s=(len(speech) + 8000) / 16000)
    transcript = transcriber.transcribe(both, 16000)
    assert "little money" in transcript.text and "weather" in transcript.text
    weather = next(word for word in transcript.words if word.text == "weather")
    assert weather.start_s > len(speech) / 16000


@needs_moonshine
def test_company_and_threads_do_not_matter(speech: np.ndarray, other_speech: np.ndarray) -> None:
    """Quantised networks round by the largest value around: what is heard together must not share it."""
    voices = [speech, other_speech, speech[: len(speech) // 2]]
    transcriber = MoonshineTranscriber(threads=3)
    alone = [transcriber.transcribe(voice, 16000) for voice in voices]
    assert transcriber.transcribe_batch(voices, 16000) == alone
    heard: list[Transcript | None] = [None, None, None]

    def work(number: int) -> None:
        heard[number] = transcriber.transcribe(voices[number], 16000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == alone


@needs_moonshine
def test_real_speech_is_heard(transcriber: MoonshineTranscriber, development_data: Path) -> None:
    folder = development_data / "corpora" / "DailyTalk" / "data" / "0"
    for turn in ("4_1_d0", "9_0_d0"):
        heard = transcriber.transcribe(load_waveform(folder / f"{turn}.wav", 16000), 16000).text.lower()
        said = (folder / f"{turn}.txt").read_text().lower().split()
        assert sum(word in heard for word in said) >= 0.7 * len(said)


@needs_moonshine
@pytest.mark.parametrize("file", [ENCODER, DECODER, "tokenizer.bin"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_weights_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, damage: str
) -> None:
    real = moonshine._model_folder()
    for name in (ENCODER, DECODER, "tokenizer.bin"):
        (tmp_path / name).symlink_to(real / name)
    (tmp_path / file).unlink()
    if damage == "cut":
        (tmp_path / file).write_bytes((real / file).read_bytes()[:-1])
    monkeypatch.setattr(moonshine, "_model_folder", lambda: tmp_path)
    with pytest.raises(CheckpointError, match=file) as caught:
        MoonshineTranscriber()
    assert "\n" not in str(caught.value)


@needs_moonshine
def test_what_onnxruntime_cannot_read_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(moonshine._model_folder(), tmp_path / "model")
    (tmp_path / "model" / ENCODER).write_bytes(b"ORTM" * 1000)
    monkeypatch.setattr(moonshine, "_model_folder", lambda: tmp_path / "model")
    monkeypatch.setattr(moonshine, "_SHA256", {})
    with pytest.raises(CheckpointError, match="onnxruntime .* cannot read it"):
        MoonshineTranscriber()
    assert capfd.readouterr().err == ""


@needs_moonshine
def test_the_code_of_the_package_is_not_run() -> None:
    """It asks for PortAudio, a library that servers have no use for."""
    code = (
        "import sys; from cse.selection.moonshine import MoonshineTranscriber; MoonshineTranscriber()\n"
        "sys.exit(', '.join({'moonshine_voice', 'sounddevice'} & set(sys.modules)) or None)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_missing_packages_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r'pip install "cse\[offline\]"'):
        MoonshineTranscriber()
    hide(monkeypatch, "moonshine_voice")
    with pytest.raises(MissingExtraError, match="the package moonshine-voice, .*cse.offline"):
        MoonshineTranscriber()


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Make a package look as if it were not installed, to those who look for its files."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest)
    )


@pytest.mark.parametrize(
    ("tokens", "extra"),
    [
        ([], 0),
        ([1, 2, 3, 4, 1, 2, 3, 4], 0),
        ([5, 5, 5, 5], 0),
        ([9] + [5] * 12, 11),
        ([9, 8, *[1, 2, 3, 4] * 3], 8),
        ([9, 8, 4, *[1, 2, 3, 4] * 3], 8),
        ([*[1, 2, 3, 4] * 3, 9], 0),
    ],
)
def test_a_loop_is_what_comes_often_at_the_end(tokens: list[int], extra: int) -> None:
    assert loop_length(tokens) == extra


def test_the_vocabulary_is_read_with_long_pieces(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(b"\x02ab" + b"\x00" + bytes([128 + 2, 1]) + b"x" * 130 + b"\x01c")
    assert read_vocabulary(path) == [b"ab", b"", b"x" * 130, b"c"]
    path.write_bytes(b"\x02ab\x05abc")
    with pytest.raises(CheckpointError, match="tokenizer.bin"):
        read_vocabulary(path)


def test_words_are_joined_at_blanks_and_need_a_letter() -> None:
    vocabulary = [piece.encode() for piece in ("▁It", "'", "s", "▁caf", "▁-", "▁$", "5", "!")] + [
        b"\xc3",
        b"\xa9",
        b"\xe2",
    ]
    numbers = [0, 1, 2, 3, 8, 9, 7, 4, 5, 6, 4, 10, 9]
    words = join_words([Token(number, -0.1 * number) for number in numbers], vocabulary)
    assert [text for text, _ in words] == ["It's", "café!", "$5"]
    assert [[token.number for token in tokens] for _, tokens in words] == [[0, 2], [3, 8, 9], [6]]
