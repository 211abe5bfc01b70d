from __future__ import annotations

import importlib.util
import sys

import pytest

import cse.selection.moonshine as moonshine
from cse.errors import CheckpointError, MissingExtraError
from cse.selection.transcribers import NAMES, default_transcriber, load_transcriber


@pytest.mark.parametrize("name", NAMES)
def test_a_transcriber_has_the_name_that_it_is_loaded_by(name: str) -> None:
    module = {"moonshine": "moonshine_voice", "pocketsphinx": "pocketsphinx"}[name]
    if importlib.util.find_spec(module) is None:
        pytest.skip("the extra [offline] is not installed")
    assert load_transcriber(name).name == name


def test_other_names_are_whisper_models() -> None:
    with pytest.raises(CheckpointError, match="no/such/folder"):
        load_transcriber("no/such/folder")


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in packages else find(name, *rest)
    )
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


def test_pocketsphinx_stands_in_for_moonshine(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pocketsphinx")
    without(monkeypatch, "moonshine_voice")
    assert default_transcriber().name == "pocketsphinx"


def test_moonshine_comes_first() -> None:
    if importlib.util.find_spec("moonshine_voice") is None:
        pytest.skip("the extra [offline] is not installed")
    assert default_transcriber().name == "moonshine"


def test_without_both_the_better_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "moonshine_voice", "pocketsphinx")
    with pytest.raises(MissingExtraError, match=r'moonshine-voice, .*pip install "cse\[offline\]"'):
        default_transcriber()


def test_a_damaged_moonshine_is_not_replaced_silently(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(moonshine, "_model_folder", lambda: tmp_path)
    with pytest.raises(CheckpointError, match="encoder_model.ort"):
        default_transcriber()
