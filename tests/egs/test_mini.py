"""The mini recipe: its corpus is what its README says, options are checked, --quick runs to the end."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest
import soundfile
import yaml

from cse.manifest import read_mixtures, read_utterances
from cse.testing.flite import flite_available

needs_flite = pytest.mark.skipif(
    not flite_available(), reason="flite is not installed (apt-get install flite)"
)


@pytest.fixture(scope="module")
def recipe(repository: Path) -> Path:
    return repository / "egs" / "mini"


@pytest.fixture(scope="module")
def prepare(recipe: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("mini_prepare", recipe / "local" / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def turns(prepare: ModuleType) -> list:
    return list(prepare.generate({"train": 144, "dev": 24, "test": 24}, seed=0))


def test_every_sentence_occurs_once(turns: list):
    assert len(turns) > 1000
    assert len({turn.text for turn in turns}) == len(turns)


@pytest.fixture(scope="module")
def content(prepare: ModuleType) -> dict:
    return yaml.safe_load(prepare.TOPICS.read_text(encoding="utf-8"))


def test_test_sentences_have_frames_that_training_never_sees(turns: list, content: dict):
    shapes = [
        re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(frame)))
        for frames in content["frames"]["held_out"].values()
        for frame in frames
    ]
    for turn in turns:
        matches = any(shape.fullmatch(turn.text) for shape in shapes)
        assert matches == (turn.split != "train"), turn.text


def test_only_the_words_of_its_topic_tell_a_sentence_from_the_others(turns: list, content: dict):
    words = {
        word: topic for topic, kinds in content["topics"].items() for kind in kinds.values() for word in kind
    }
    assert len(words) == sum(len(kind) for kinds in content["topics"].values() for kind in kinds.values())
    for turn in turns:
        topics = [words[word] for word in words if re.search(rf"\b{word}\b", turn.text)]
        assert len(topics) >= 3
        assert set(topics) == {turn.topic}, turn.text


def test_splits_share_no_talker_and_no_dialogue(turns: list):
    talkers, dialogues = defaultdict(set), defaultdict(set)
    for turn in turns:
        talkers[turn.split].add(turn.talker.name)
        dialogues[turn.split].add(turn.dialogue)
    assert len(talkers["train"]) >= 12
    for groups in (talkers, dialogues):
        assert not groups["train"] & groups["test"]
        assert not groups["train"] & groups["dev"]
        assert not groups["dev"] & groups["test"]


def test_dialogues_are_6_to_8_turns_of_two_talkers_and_the_history_is_what_was_said(turns: list):
    dialogues = defaultdict(list)
    for turn in turns:
        dialogues[turn.dialogue].append(turn)
    for dialogue in dialogues.values():
        assert 6 <= len(dialogue) <= 8
        assert len({turn.talker for turn in dialogue}) == 2
        for number, turn in enumerate(dialogue):
            said = [(earlier.text, earlier.talker.name) for earlier in dialogue[:number]]
            assert [(heard.text, heard.speaker) for heard in turn.history] == said


def test_same_seed_same_dialogues(turns: list, prepare: ModuleType):
    assert list(prepare.generate({"train": 144, "dev": 24, "test": 24}, seed=0)) == turns
    assert list(prepare.generate({"train": 144, "dev": 24, "test": 24}, seed=1)) != turns


def test_too_many_dialogues_are_an_error_not_an_endless_loop(prepare: ModuleType):
    with pytest.raises(prepare.CseError, match="fewer dialogues"):
        list(prepare.generate({"test": 5000}, seed=0))


@needs_flite
def test_prepare_resumes_and_replaces_nothing(recipe: Path, tmp_path: Path):
    command = [sys.executable, recipe / "local" / "prepare.py", "--output", tmp_path]
    command += ["--train", "1", "--dev", "0", "--test", "1"]
    subprocess.run(command, check=True, capture_output=True)
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "audio").rglob("*.flac")}
    lost = sorted(first)[0]
    lost.unlink()
    subprocess.run(command, check=True, capture_output=True)
    second = {path: path.stat().st_mtime_ns for path in (tmp_path / "audio").rglob("*.flac")}
    assert second.keys() == first.keys()
    assert [path for path in first if first[path] != second[path]] == [lost]
    utterances = read_utterances(tmp_path / "utterances.jsonl")
    for utterance in utterances:
        info = soundfile.info(utterance.audio)
        assert info.samplerate == utterance.sample_rate == 16000
        assert info.duration == pytest.approx(utterance.duration_s, abs=1e-3)


def test_help_shows_every_option_with_its_default(recipe: Path):
    result = _run(recipe, "--help")
    assert result.returncode == 0
    for option in ("--stage", "--stop-stage", "--quick", "--experiment", "--data-dir", "--output"):
        assert re.search(rf"^  {option} .*\[.*\]$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["--stages", "2"], ["--stage"], ["2"], ["--PATH", "x"]])
def test_wrong_options_are_one_line_and_exit_code_2(recipe: Path, arguments: list[str]):
    result = _run(recipe, *arguments)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "--help" in result.stderr


@needs_flite
@pytest.mark.recipe
def test_quick_run_from_nothing_to_the_voice(recipe: Path, tmp_path: Path):
    result = _run(recipe, "--quick", "--data-dir", str(tmp_path / "data"), "--output", str(tmp_path / "exp"))
    assert result.returncode == 0, result.stderr[-2000:]

    exp = tmp_path / "exp"
    mixtures = read_mixtures(exp / "test" / "mixtures.jsonl")
    for model in ("separator", "contsep", "cont_ext", "h_cont_ext"):
        metrics = json.loads((exp / model / "history.json").read_text(encoding="utf-8"))
        assert metrics["n"] == len(mixtures) // (3 if model == "separator" else 1) > 0
        assert metrics["n_failed"] == 0
        assert (exp / model / "report" / "index.html").stat().st_size > 1000
    separated = json.loads((exp / "separator" / "history.json").read_text(encoding="utf-8"))
    assert separated["separation_si_sdri_db"] > 1.0
    table = (exp / "results.md").read_text(encoding="utf-8")
    for model, conditions in {"separator": 2, "contsep": 5, "cont_ext": 5, "h_cont_ext": 9}.items():
        assert table.count(f"| {model} |") == conditions

    extraction = json.loads(result.stdout[result.stdout.rindex("\n{") :])
    assert extraction["model"] == "mini-h-cont-ext"
    assert extraction["turn_attribution"] is not None
    assert soundfile.info(exp / "voice.wav").frames == soundfile.info(mixtures[0].mixture).frames


def _run(recipe: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [recipe / "run.sh", *arguments]
    return subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
