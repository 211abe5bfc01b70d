"""Extraction by exported files: the same results as the models they were made of, and no PyTorch."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from cse.building import instantiate
from cse.checkpoint import load_checkpoint, save_checkpoint
from cse.encoders.voice import SpeakerEmbedding
from cse.errors import CancelledError, CheckpointError, ConfigError, MissingCueError, TargetAbsentError
from cse.extractor import Extractor
from cse.history import Turn
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.ondevice.description import Description
from cse.ondevice.even_chooser import EvenChooser
from cse.testing.models import ToldChooser

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

from cse.ondevice.export import export_onnx  # noqa: E402
from cse.ondevice.onnx_extractor import OnnxExtractor  # noqa: E402

CONTRACTS = Path(__file__).parents[1] / "models"
separators = SimpleNamespace(**runpy.run_path(str(CONTRACTS / "test_contracts.py")))
extractors = SimpleNamespace(**runpy.run_path(str(CONTRACTS / "test_cue_contracts.py")))
RATE = 8000
HISTORY = [Turn("Where shall we meet?", "Ana")]
TOKENS = np.random.default_rng(1).standard_normal((2, extractors.WIDTH)).astype(np.float32)


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    generator = np.random.default_rng(0)
    syllables = np.repeat(generator.random(round(seconds * 5) + 1), rate // 5)[: round(seconds * rate)]
    return (0.1 * syllables * generator.standard_normal(len(syllables))).astype(np.float32)


def export(folder: Path, config: dict) -> torch.nn.Module:
    torch.manual_seed(0)
    model = instantiate(config).eval()
    save_checkpoint(folder / "tiny", {"model": config}, model.state_dict(), "# tiny\n\nLicence: MIT")
    export_onnx(folder / "tiny", folder / "tiny.onnx")
    return model


@pytest.fixture(scope="module")
def separator(tmp_path_factory) -> tuple[Path, torch.nn.Module]:
    folder = tmp_path_factory.mktemp("separator")
    return folder / "tiny.onnx", export(folder, separators.config_of("stft", "conv_tasnet", 3))


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory) -> tuple[Path, torch.nn.Module]:
    folder = tmp_path_factory.mktemp("hybrid")
    return folder / "tiny.onnx", export(folder, extractors.config_of("h_cont_ext", "conv_tasnet", "film", 2))


@pytest.mark.parametrize(("seconds", "rate"), [(1.0, RATE), (2.3, 44_100), (26.0, RATE)])
def test_the_cascade_gives_what_the_separator_gives(separator, seconds, rate):
    """Longer than a window, too: windows and talkers are followed by the same code."""
    path, model = separator
    mixture = noise(seconds, rate)
    told: Any = ToldChooser()
    theirs = Extractor(method=SeparateThenChoose(separator=model, chooser=told), name="tiny")
    ours = OnnxExtractor.from_file(path, chooser=ToldChooser())
    expected = theirs.extract(mixture, HISTORY, sample_rate=rate)
    got = ours.extract(mixture, HISTORY, sample_rate=rate)
    assert ours.name == "tiny" and ours.talkers == 3
    assert len(got.candidates) == len(expected.candidates) > 0
    for one, other in zip(got.candidates, expected.candidates, strict=True):
        assert one.waveform.shape == mixture.shape
        assert np.abs(one.waveform - other.waveform).max() < 1e-4 * np.abs(other.waveform).max()


def test_an_extractor_judges_as_the_model_does(hybrid):
    path, model = hybrid
    vector = np.ones(4, np.float32) / 2
    embedding = SpeakerEmbedding(vector=vector, encoder="tiny", speech_s=3.0, same_above=0.5)
    ours = OnnxExtractor.from_file(path, encode_history=lambda history, target: TOKENS)
    mixture = noise(2.0)
    for history, enrollment in ((HISTORY, None), (HISTORY, embedding), (None, embedding)):
        got = ours.extract(mixture, history, enrollment=enrollment, sample_rate=RATE)
        cues = {}
        tokens = torch.zeros(1, extractors.TURNS, extractors.WIDTH)
        if history:
            tokens[0, -2:] = torch.from_numpy(TOKENS)
        there = torch.tensor([[False, bool(history), bool(history)]])
        cues["text"] = extractors.Cue.of(tokens, there)
        cues["speaker"] = model.speaker_cue.of_embeddings(
            torch.from_numpy(vector if enrollment else 0 * vector)[None],
            torch.tensor([enrollment is not None]),
        )
        with torch.inference_mode():
            centred = torch.from_numpy(mixture - mixture.mean())
            logits = model(0.9 * centred[None] / centred.abs().max(), **cues).logits
        assert got.probability == pytest.approx(float(logits.softmax(1)[0, 0]), abs=1e-4)
        assert got.waveform.shape == mixture.shape


def test_an_extractor_over_several_windows_is_whole(hybrid):
    path, _ = hybrid
    mixture = noise(26.0)
    result = OnnxExtractor.from_file(path, encode_history=lambda history, target: TOKENS).extract(
        mixture, HISTORY, sample_rate=RATE
    )
    assert result.waveform.shape == mixture.shape
    assert 0 < result.probability < 1 and np.abs(result.waveform).max() > 0


def test_cues_that_cannot_be_used_are_errors_that_say_what_to_pass(hybrid, separator):
    path, _ = hybrid
    plain = OnnxExtractor.from_file(path)
    with pytest.raises(MissingCueError, match="pass encode_history"):
        plain.extract(noise(1.0), HISTORY, sample_rate=RATE)
    with pytest.raises(MissingCueError, match="voice_encoder, or a SpeakerEmbedding"):
        plain.extract(noise(1.0), enrollment=noise(1.0), sample_rate=RATE)
    with pytest.raises(MissingCueError, match="nothing that it can use"):
        plain.extract(noise(1.0), [], sample_rate=RATE)
    narrow = OnnxExtractor.from_file(path, encode_history=lambda history, target: TOKENS[:, :2])
    with pytest.raises(MissingCueError, match=r"\(2, 2\).*\(k, 6\)"):
        narrow.extract(noise(1.0), HISTORY, sample_rate=RATE)
    with pytest.raises(ConfigError, match="chooses by itself"):
        OnnxExtractor.from_file(path, chooser=EvenChooser())
    with pytest.raises(ConfigError, match="give it to the chooser"):
        OnnxExtractor.from_file(separator[0], encode_history=lambda history, target: TOKENS)


def test_without_a_chooser_all_candidates_are_there_and_it_says_so(separator):
    result = OnnxExtractor.from_file(separator[0]).extract(noise(1.0), HISTORY, sample_rate=RATE)
    assert result.abstained and any("no chooser" in warning for warning in result.warnings)
    shares = [candidate.probability for candidate in result.candidates]
    assert max(shares) == pytest.approx(min(shares))


def test_absent_targets_and_cancelling_are_as_everywhere(separator):
    absent = OnnxExtractor.from_file(separator[0], chooser=ToldChooser(p_none=0.8))
    with pytest.raises(TargetAbsentError):
        absent.extract(noise(1.0), HISTORY, sample_rate=RATE, on_absent="error")
    with pytest.raises(CancelledError):
        absent.extract(noise(1.0), HISTORY, sample_rate=RATE, should_stop=lambda: True)


def test_the_file_says_what_it_is(separator):
    path, _ = separator
    about = OnnxExtractor.from_file(path).description
    assert (about.kind, about.talkers, about.sample_rate, about.peak) == ("separator", 3, RATE, 0.9)
    assert about.weights_sha256 == load_checkpoint(path.with_name("tiny")).config["sha256"]
    assert about.filterbank["window_samples"] == 32 and about.filterbank["hop_samples"] == 8
    stored = onnx.load(path)
    assert "Licence: MIT" in stored.doc_string, "the model card goes with the weights"
    assert {opset.version for opset in stored.opset_import if opset.domain == ""} == {17}
    onnx.checker.check_model(stored)
    largest = max(np.prod(weight.dims) for weight in stored.graph.initializer)
    assert largest < 34 * 32, "Fourier transforms are computed, not stored"


@pytest.mark.parametrize("damage", ["missing", "text", "cut", "foreign", "future"])
def test_damaged_files_are_errors_of_one_line(separator, damage, tmp_path):
    path = tmp_path / "model.onnx"
    whole = separator[0].read_bytes()
    if damage == "text":
        path.write_text("hello")
    elif damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage != "missing":
        model = onnx.load_from_string(whole)
        if damage == "foreign":
            del model.metadata_props[:]
        else:
            model.metadata_props[0].value = model.metadata_props[0].value.replace(
                '"format": 1', '"format": 9'
            )
        onnx.save(model, path)
    with pytest.raises(CheckpointError, match=r"model\.onnx") as caught:
        OnnxExtractor.from_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("sample_rate", "8000"), ("sample_rate", 0), ("talkers", None), ("talkers", 1.5), ("kind", [])],
)
def test_a_description_of_another_form_is_an_error_of_one_line(name, value):
    about = Description(kind="separator", name="a", sample_rate=RATE, talkers=2, weights_sha256="0" * 64)
    entries = json.loads(about.to_metadata()["cse"])
    with pytest.raises(CheckpointError, match="expected separator or extractor with talkers") as caught:
        Description.from_metadata({"cse": json.dumps({**entries, name: value})})
    assert "\n" not in str(caught.value)


def test_a_description_that_is_nested_without_end_is_an_error():
    with pytest.raises(CheckpointError, match="cannot be read"):
        Description.from_metadata({"cse": "[" * 100_000})


def test_nothing_imports_pytorch(separator, tmp_path):
    """Where there is none, as on a phone: reading, resampling, separating, choosing, writing."""
    soundfile.write(tmp_path / "note.wav", noise(22.0, 44_100), 44_100)
    code = f"""
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchaudio"):
            raise ImportError(name + " is not installed")
sys.meta_path.insert(0, NoTorch())
from cse.history import Turn
from cse.ondevice.onnx_extractor import OnnxExtractor
result = OnnxExtractor.from_file({str(separator[0])!r}).extract({str(tmp_path / "note.wav")!r}, [Turn("Hi", "Ana")])
result.save({str(tmp_path / "voice.ogg")!r})
print(len(result.candidates))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0 and (tmp_path / "voice.ogg").stat().st_size > 1000
