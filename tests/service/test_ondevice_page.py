"""The model in a real browser: the voices of `OnnxExtractor`, and no request once it is loaded."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from cse.building import instantiate
from cse.checkpoint import save_checkpoint
from cse.evaluation.metrics import si_sdr
from cse.models.found_talkers import found_talkers
from cse.models.levels import speech_levels
from cse.models.talker_tracks import TalkerTracks
from cse.ondevice.browser import FILES, MANIFEST
from cse.ondevice.thresholds import thresholds
from cse.testing.on_device_page import OnDevicePage

onnx = pytest.importorskip("onnx", reason='needs: pip install "cse[onnx]"')
pytest.importorskip("onnx.parser")
pytest.importorskip("onnxruntime", reason='needs: pip install "cse[onnx]"')
pytest.importorskip("fastapi", reason='needs: pip install "cse[service]"')
pytest.importorskip("uvicorn", reason='needs: pip install "cse[service]"')
if not (FILES / MANIFEST).is_file():
    pytest.skip("there is no model for browsers: make ondevice", allow_module_level=True)

from cse.ondevice.export import export_onnx  # noqa: E402
from cse.ondevice.onnx_extractor import OnnxExtractor  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CONTRACTS = Path(__file__).parents[1] / "models"
separators = SimpleNamespace(**runpy.run_path(str(CONTRACTS / "test_contracts.py")))
extractors = SimpleNamespace(**runpy.run_path(str(CONTRACTS / "test_cue_contracts.py")))
RATE = 8000
TAPS = (np.hanning(17) / np.hanning(17).sum())[1:-1]
# one voice is low and one is high; which comes first depends on the first sample
SPLITTING = f"""
split (float[1, samples] mixture) => (float[1, 2, samples] estimates)
<int64[1] zero = {{0}}, int64[1] one = {{1}}, float silence = {{0}},
 float[1, 1, {len(TAPS)}] taps = {{{", ".join(map(str, TAPS))}}}>
{{
  whole = Unsqueeze (mixture, one)
  low = Conv <pads = [{len(TAPS) // 2}, {len(TAPS) // 2}]> (whole, taps)
  high = Sub (whole, low)
  start = Slice (mixture, zero, one, one)
  positive = Greater (start, silence)
  choose = Unsqueeze (positive, one)
  first = Where (choose, low, high)
  second = Where (choose, high, low)
  estimates = Concat <axis = 1> (first, second)
}}
"""
ECHOING = """
echo (float[1, samples] mixture) => (float[1, 2, samples] estimates)
<int64[1] one = {1}>
{
  whole = Unsqueeze (mixture, one)
  estimates = Concat <axis = 1> (whole, whole)
}
"""
# with the inverse of a voice beside it, least squares would give each of the two half of its level
INVERTING = SPLITTING.replace("[1, 2, samples]", "[1, 3, samples]").replace(
    "estimates = Concat <axis = 1> (first, second)",
    """inverse = Neg (second)
  estimates = Concat <axis = 1> (first, second, inverse)""",
)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def page(chromium: Browser, models: Path) -> Iterator[OnDevicePage]:
    with OnDevicePage(chromium, models) as page:
        yield page
        assert [line for line in page.complaints if "404" not in line] == [], "the policy blocks nothing"


@pytest.fixture(scope="module")
def tiny(models: Path) -> Path:
    return export(models / "tiny.onnx", separators.config_of("stft", "conv_tasnet", 3))


def export(path: Path, config: dict[str, Any], precision: Any = "float32", graph: str | None = None) -> Path:
    torch.manual_seed(0)
    model = instantiate(config).eval()
    save_checkpoint(path.with_suffix(""), {"model": config}, model.state_dict(), "# tiny")
    export_onnx(path.with_suffix(""), path, precision=precision)
    if graph is not None:
        stored = onnx.load(path)
        stored.graph.CopyFrom(onnx.parser.parse_graph(graph))
        onnx.save(stored, path)
    return path


def two_noises(seconds: float, rate: int = RATE) -> np.ndarray:
    """A low and a high noise that come and go, somewhat like talkers."""
    generator = np.random.default_rng(0)
    count = round(seconds * rate)
    syllables = np.repeat(generator.random((2, round(seconds * 5) + 1)), rate // 5, axis=1)[:, :count] ** 2
    low, high = generator.standard_normal((2, count))
    low = np.convolve(low, np.hanning(24) / 12, "same")
    return (0.1 * (syllables[0] * low + 0.3 * syllables[1] * high)).astype(np.float32)


def of_python(path: Path, mixture: np.ndarray, rate: int = RATE) -> list[np.ndarray]:
    result = OnnxExtractor.from_file(path, threads=1).extract(mixture, [], sample_rate=rate)
    return [candidate.waveform for candidate in result.candidates]


def assert_equal(voices: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(voices) == len(expected)
    for voice, wanted in zip(voices, expected, strict=True):
        assert voice.shape == wanted.shape
        assert np.abs(voice - wanted).max() < 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("backbone", separators.BACKBONES)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_voices_are_those_of_python(page, models, backbone, precision):
    name = f"{backbone}_{precision}"
    path = export(models / f"{name}.onnx", separators.config_of("stft", backbone, 3), precision)
    about = page.load(f"/models/{path.name}")
    assert (about["name"], about["sampleRateHz"], about["talkers"]) == (name, RATE, 3)
    assert about["bytes"]["model"] == path.stat().st_size and about["bytes"]["runtime"] > 1e7
    mixture = two_noises(1.3)
    got, expected = page.separate(mixture), of_python(path, mixture)
    assert len(expected) > 1 and not got["isRecording"]
    assert_equal(got["voices"], expected)
    assert got["kept"], "the recording that was given is as it was"


@pytest.mark.parametrize("seconds", [19.9, 20.1, 45.3, 97.7])
def test_long_recordings_are_separated_in_the_same_windows(page, models, seconds):
    config = separators.config_of("stft", "conv_tasnet", 2)
    path = export(models / "split.onnx", config, graph=SPLITTING)
    page.load(f"/models/{path.name}")
    mixture = two_noises(seconds)
    got, expected = page.separate(mixture), of_python(path, mixture)
    assert len(expected) == 2
    assert_equal(got["voices"], expected)
    windows = int(np.ceil((seconds - 4) / 16)) if seconds > 20 else 1
    assert len(got["done"]) == windows and got["done"] == sorted(got["done"])
    low = np.convolve(mixture, TAPS, "same")
    assert max(si_sdr(voice, low) for voice in expected) > 30, "talkers were followed"


def test_no_gain_is_negative(page, models):
    path = export(models / "inverse.onnx", separators.config_of("stft", "conv_tasnet", 3), graph=INVERTING)
    page.load(f"/models/{path.name}")
    mixture = two_noises(1.3)
    got, expected = page.separate(mixture), of_python(path, mixture)
    assert_equal(got["voices"], expected)
    assert np.allclose(sum(expected), mixture, atol=0.02 * np.abs(mixture).max())


def test_the_packaged_model_in_8_bits(page):
    """It rounds other numbers in another order: not equal, but nearer than anybody hears."""
    model = json.loads((FILES / MANIFEST).read_text())["model"]
    about = page.load(f"/ondevice/{model['file']}")
    assert (about["name"], about["sampleRateHz"]) == (model["name"], model["sample_rate_hz"])
    assert about["bytes"]["model"] == model["bytes"]
    mixture = two_noises(2.0, model["sample_rate_hz"])
    got = page.separate(mixture)
    expected = of_python(FILES / model["file"], mixture, model["sample_rate_hz"])
    assert len(got["voices"]) == len(expected)
    for voice, wanted in zip(got["voices"], expected, strict=True):
        assert si_sdr(voice, wanted) > 30
    assert got["ticks"] > 3, "the page does something else meanwhile"


def test_once_loaded_it_asks_for_nothing(page, tiny):
    seen: list[str] = []
    page.page.context.on("request", lambda request: seen.append(request.url))
    page.asked.clear()
    page.load(f"/models/{tiny.name}")
    assert f"/models/{tiny.name}" in page.asked, "what the worker asks for is seen by the server"
    assert any(url.endswith(f"/models/{tiny.name}") for url in seen), "and by the browser"
    page.asked.clear()
    seen.clear()
    page.page.context.set_offline(True)
    try:
        assert len(page.separate(two_noises(22.0))["voices"]) > 1
    finally:
        page.page.context.set_offline(False)
    assert seen == [] and page.asked == []


def test_one_talker_is_the_recording_itself(page, models):
    path = export(models / "echo.onnx", separators.config_of("stft", "conv_tasnet", 2), graph=ECHOING)
    page.load(f"/models/{path.name}")
    mixture = two_noises(1.0) + np.float32(0.01)  # an offset, which the network is not given
    got, expected = page.separate(mixture), of_python(path, mixture)
    assert got["isRecording"] and len(got["voices"]) == len(expected) == 1
    assert np.array_equal(got["voices"][0], mixture) and np.array_equal(expected[0], mixture)


@pytest.mark.parametrize(
    "gains", [(1, 0.5, 1, 0.01), (1, 1, 0.2, 0.05), (0, 0, 0, 0), (1e-3, 2e-3, 5e-4, 1e-4)]
)
@pytest.mark.parametrize("length", [300, 2100, 16_000, 70_001])
@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_talkers_are_found_as_in_python(page, gains, length, rate):
    voice, other, third = np.random.default_rng(length).standard_normal((3, length)).astype(np.float32)
    voice[length // 2 :] *= 0.01  # pauses do not count
    estimates = np.float32(gains)[:, None] * np.stack([voice, voice, other, third])
    assert page.call("found", list(estimates), thresholds(rate)) == found_talkers(estimates, rate)


@pytest.mark.parametrize("seed", range(6))
def test_talkers_are_followed_as_in_python(page, seed):
    generator = np.random.default_rng(seed)
    levels = generator.random((3, 1)).astype(np.float32) ** 4
    talkers = levels * generator.standard_normal((3, 8000)).astype(np.float32)
    mixing = np.eye(3) + 0.3 * generator.standard_normal((3, 3))
    estimates = (mixing @ talkers).astype(np.float32)[generator.permutation(3)]
    tail = talkers[:, :2000]
    tracks = TalkerTracks(sample_rate=RATE)
    tracks.begin(talkers)
    found = page.call("ordered", list(tail), list(estimates), thresholds(RATE))
    assert found["order"] == tracks.follow(tail, estimates)
    assert found["loudest"] == pytest.approx(float(speech_levels(estimates, RATE).max()), rel=1e-5)


def test_it_can_be_stopped_and_closed(page, tiny):
    page.load(f"/models/{tiny.name}")
    mixture = two_noises(2.0)
    assert page.call("stop", mixture) == ["AbortError", "finished", "AbortError"]
    assert page.call("give", [0.1, 0.2]) == "TypeError"
    assert page.call("close_meanwhile", mixture) == "AbortError"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "got status 404 for /models/missing.onnx"),
        ("cut", "damaged"),
        ("words", "damaged"),
        ("empty", "without a description"),
        ("future", "another version"),
        ("cues", "got an extractor, expected a separator"),
    ],
)
def test_what_cannot_be_loaded_is_an_error_that_says_why(page, models, tiny, name, said):
    content = tiny.read_bytes()
    contents = {
        "cut": content[: len(content) // 2],
        "words": b"hello, this is no model",
        "empty": b"",
        "future": content.replace(b'"format": 1', b'"format": 9'),
    }
    if name == "cues":
        export(models / "cues.onnx", extractors.config_of("h_cont_ext", "conv_tasnet", "film", 2))
    elif name in contents:
        (models / f"{name}.onnx").write_bytes(contents[name])
    assert said in page.call("loadError", f"/models/{name}.onnx", "/nowhere.mjs")


def test_a_runtime_that_is_not_there_is_an_error(page, tiny):
    assert "nowhere.mjs" in page.call("loadError", f"/models/{tiny.name}", "/nowhere.mjs")
