"""The DailyTalk recipe: the corpus's layout and its defects, the paper's splits, run.sh from the corpus to a voice."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from cse.manifest import Utterance, read_mixtures, read_utterances
from cse.testing.corpus import speech_like, write_utterances

RATE_HZ = 8000  # the corpus has 44.1 kHz; nothing here depends on it


@pytest.fixture(scope="module")
def recipe(repository: Path) -> Path:
    return repository / "egs" / "dailytalk"


@pytest.fixture(scope="module")
def prepare(recipe: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("dailytalk_prepare", recipe / "local" / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def write_turn(folder: Path, turn: int, text: str | bytes | None, *, duration_s: float = 0.4) -> str:
    """A turn as the corpus has it: the two speakers alternate, beginning with one of them in even dialogues."""
    dialogue = int(folder.name)
    speaker = (turn + dialogue) % 2
    stem = f"{turn}_{speaker}_d{dialogue}"
    folder.mkdir(parents=True, exist_ok=True)
    sound = speech_like(duration_s, talker=speaker, sample_rate=RATE_HZ, seed=100 * dialogue + turn)
    soundfile.write(folder / f"{stem}.wav", sound, RATE_HZ, subtype="PCM_16")
    if text is not None:
        words = text.encode() if isinstance(text, str) else text
        (folder / f"{stem}.txt").write_bytes(words)
    return stem


def write_dialogue(corpus: Path, dialogue: int, turns: int, **options: float) -> list[str]:
    folder = corpus / "data" / str(dialogue)
    return [write_turn(folder, turn, f"Turn {turn} of {dialogue}.", **options) for turn in range(turns)]


def write_lists(folder: Path, *, test: list[int], dev: list[int] | None, mixtures: list[str] = ()) -> Path:
    place = folder / "DailyTalk"
    place.mkdir(parents=True)
    (place / "test_dialog.txt").write_text("".join(f"{dialogue}\n" for dialogue in test))
    if dev is not None:
        (place / "val_dialog.txt").write_text("".join(f"{dialogue}\n" for dialogue in dev))
    (place / "test_mix.txt").write_text("".join(f"{line}\n" for line in mixtures))
    return folder


def run_prepare(recipe: Path, corpus: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        recipe / "local" / "prepare.py",
        "--corpus",
        corpus,
        "--output",
        output,
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def prepared(recipe: Path, corpus: Path, output: Path, *options: str) -> dict[str, Utterance]:
    result = run_prepare(recipe, corpus, output, *options)
    assert result.returncode == 0, result.stderr
    return {utterance.id: utterance for utterance in read_utterances(output)}


def left_out(output: Path) -> dict[str, dict[str, list[str]]]:
    """Ids by kind, of what was left out and of what was kept although odd."""
    report = json.loads((output.parent / "left_out.json").read_text(encoding="utf-8"))
    return {
        title: {kind: [item["id"] for item in found["items"]] for kind, found in report[title].items()}
        for title in ("left_out", "kept")
    }


# ---- preparation


def test_the_real_corpus_as_it_is(recipe: Path, development_data: Path, tmp_path: Path):
    corpus = development_data / "corpora" / "DailyTalk"
    if not corpus.is_dir():
        pytest.skip(f"no {corpus}")
    utterances = prepared(recipe, corpus, tmp_path / "utterances.jsonl")
    assert len(utterances) == 20
    fifth = utterances["5_0_d0"]
    assert fifth.speaker == "0" and fifth.dialogue == "dailytalk-0" and fifth.sample_rate == 44100
    assert [turn.speaker for turn in fifth.history] == ["1", "0", "1", "0", "1"]
    assert fifth.history[0].text == "What are you working on?"
    assert fifth.history[2].text == "Umm…. What budget?", "non-ASCII text stays as it is"
    assert fifth.duration_s == pytest.approx(soundfile.info(fifth.audio).duration)
    last = utterances["11_0_d0"]
    assert [turn.text for turn in last.history] == [
        (corpus / "data/0" / f"{turn}_{(turn + 1) % 2}_d0.txt").read_text().strip() for turn in range(11)
    ]
    assert left_out(tmp_path / "utterances.jsonl") == {"left_out": {}, "kept": {}}


def test_turns_are_in_the_order_of_their_numbers_and_have_all_before_them(recipe: Path, tmp_path: Path):
    stems = write_dialogue(tmp_path, 7, turns=12)
    utterances = prepared(recipe, tmp_path, tmp_path / "utterances.jsonl")
    assert list(utterances) == stems
    for number, stem in enumerate(stems):
        assert [turn.text for turn in utterances[stem].history] == [f"Turn {n} of 7." for n in range(number)]
        assert [turn.speaker for turn in utterances[stem].history] == [
            s.split("_")[1] for s in stems[:number]
        ]


def test_defects_are_named_and_no_reason_to_stop(recipe: Path, tmp_path: Path):
    folder = tmp_path / "data" / "4"
    for number, text in enumerate(
        ["First.", None, " \n", "Zoë — “naïve”?".encode("cp1252"), "Fifth.", "Sixth."]
    ):
        write_turn(folder, number, text)
    (folder / "4_0_d4.wav").unlink()
    write_turn(folder, 7, "Eighth.")  # there is no seventh
    (folder / "8_0_d4.wav").write_bytes(b"RIFF, but no more")
    (folder / "8_0_d4.txt").write_text("Ninth.")
    write_turn(folder, 9, "Tenth.")
    (folder / "9_0_d4.wav").write_bytes((folder / "9_1_d4.wav").read_bytes())  # two speakers of one turn
    (folder / "0_0_d5.wav").write_bytes(b"of another dialogue")
    (folder / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "metadata.json").write_text("{}")
    output = tmp_path / "utterances.jsonl"
    utterances = prepared(recipe, tmp_path, output, "--max-left-out", "0.5")

    assert list(utterances) == ["0_0_d4", "1_1_d4", "2_0_d4", "3_1_d4", "5_1_d4", "7_1_d4", "9_0_d4"]
    assert utterances["1_1_d4"].text is None and utterances["2_0_d4"].text is None
    assert utterances["3_1_d4"].text == "Zoë — “naïve”?"
    told = [(turn.speaker, turn.text) for turn in utterances["7_1_d4"].history]
    assert told == [("0", "First."), ("1", "Zoë — “naïve”?"), ("0", "Fifth."), ("1", "Sixth.")]
    assert left_out(output) == {
        "left_out": {"no audio": ["4_0_d4", "8_0_d4"]},
        "kept": {
            "twice": ["9_1_d4"],
            "gap": ["6_?_d4"],
            "no words": ["1_1_d4", "2_0_d4", "9_0_d4"],
            "other encoding": ["3_1_d4"],
        },
    }


def test_too_many_defects_are_an_error_and_leave_no_manifest(recipe: Path, tmp_path: Path):
    for stem in write_dialogue(tmp_path, 0, turns=10)[:2]:
        (tmp_path / "data" / "0" / f"{stem}.wav").unlink()
    result = run_prepare(recipe, tmp_path, tmp_path / "utterances.jsonl")
    assert result.returncode == 2
    assert "2 of 10" in result.stderr and "no audio" in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "utterances.jsonl").exists()
    assert left_out(tmp_path / "utterances.jsonl")["left_out"] == {"no audio": ["0_0_d0", "1_1_d0"]}


def test_the_engine_does_not_change_a_byte(recipe: Path, tmp_path: Path):
    for dialogue in range(5):
        write_dialogue(tmp_path, dialogue, turns=3)
    prepared(recipe, tmp_path, tmp_path / "serial.jsonl")
    prepared(recipe, tmp_path, tmp_path / "pool.jsonl", "--engine", "pool", "--workers", "2")
    assert (tmp_path / "serial.jsonl").read_bytes() == (tmp_path / "pool.jsonl").read_bytes()


def test_no_corpus_is_one_line(recipe: Path, tmp_path: Path):
    result = run_prepare(recipe, tmp_path, tmp_path / "utterances.jsonl")
    assert (
        result.returncode == 2 and "data/<number>" in result.stderr and len(result.stderr.splitlines()) == 1
    )


# ---- splits


def test_splits_are_those_of_the_lists(recipe: Path, tmp_path: Path):
    for dialogue in range(6):
        write_dialogue(tmp_path, dialogue, turns=2, duration_s=0.1)
    lists = write_lists(tmp_path / "lists", test=[1, 4, 2000], dev=[0]) / "DailyTalk"
    utterances = prepared(recipe, tmp_path, tmp_path / "utterances.jsonl", "--lists", str(lists))
    splits = {utterance.dialogue: utterance.split for utterance in utterances.values()}
    assert splits == {
        f"dailytalk-{dialogue}": split
        for dialogue, split in enumerate(["dev", "test", "train", "train", "test", "train"])
    }


def test_without_a_list_of_dev_dialogues_they_are_drawn_by_the_seed(prepare: ModuleType, tmp_path: Path):
    lists = write_lists(tmp_path / "lists", test=list(range(0, 200, 2)), dev=None) / "DailyTalk"
    dialogues = [str(number) for number in range(400)]
    splits = prepare.splits_of(dialogues, lists, seed=0)
    assert len(splits.dev) == 15, "5 % of the 300 that are not for testing"
    assert not splits.dev & splits.test
    assert prepare.splits_of(dialogues[::-1], lists, seed=0) == splits
    assert prepare.splits_of(dialogues, lists, seed=1) != splits


def test_a_dialogue_in_two_lists_is_refused(recipe: Path, tmp_path: Path):
    write_dialogue(tmp_path, 3, turns=2)
    lists = write_lists(tmp_path / "lists", test=[3], dev=[3]) / "DailyTalk"
    result = run_prepare(recipe, tmp_path, tmp_path / "utterances.jsonl", "--lists", str(lists))
    assert result.returncode == 2 and "'3' first" in result.stderr and "dev and in test" in result.stderr


# ---- run.sh


def run(recipe: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [recipe / "run.sh", *arguments]
    return subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus of nine dialogues in the distributed layout, and lists as published: the first turns of its mixtures."""
    corpus = tmp_path_factory.mktemp("corpus") / "DailyTalk"
    stems = {dialogue: write_dialogue(corpus, dialogue, turns=7, duration_s=1.2) for dialogue in range(9)}
    rng = np.random.default_rng(0)
    lines = []
    for target, other in ((0, 3), (3, 6), (6, 0)):
        for turn, stem in enumerate(stems[target]):
            # the other speaker of another dialogue
            fits = [name for name in stems[other] if name.split("_")[1] != stem.split("_")[1]]
            lines.append(f"/{target}/{stem}.wav /{other}/{fits[turn % 3]}.wav {rng.normal(0, 2):.4f}")
    # only the last turns have five or more before them
    lines = [line for line in lines if int(line.split("/")[2].split("_")[0]) in (0, 5, 6)]
    return corpus, write_lists(corpus.parent / "lists", test=[0, 3, 6], dev=[1, 4], mixtures=lines)


def test_help_shows_every_option_with_its_default(recipe: Path):
    result = run(recipe, "--help")
    assert result.returncode == 0
    options = "stage stop-stage quick experiment data-dir lists skip-missing output noise engine workers"
    for option in options.split():
        assert f"  --{option} " in result.stdout


def test_without_a_corpus_stage_0_says_where_it_is(recipe: Path, tmp_path: Path):
    result = run(recipe, "--output", tmp_path)
    assert result.returncode == 2
    assert "https://github.com/keonlee9420/DailyTalk" in result.stderr and "--data-dir" in result.stderr


def test_a_list_that_names_what_was_left_out_goes_on_if_told_so(recipe: Path, tmp_path: Path):
    ids = [one.id for one in read_utterances(write_utterances(tmp_path, dialogues=2, split="test"))]
    (tmp_path / "lists" / "DailyTalk").mkdir(parents=True)
    (tmp_path / "lists" / "DailyTalk" / "test_mix.txt").write_text(
        f"/0/{ids[0]}.wav /1/left_out.wav 0.5\n/0/{ids[0]}.wav /1/{ids[-1]}.wav -0.5\n"
    )
    options = ["--output", tmp_path, "--engine", "serial", "--stage", "3", "--stop-stage", "3"]
    result = run(recipe, *options)
    assert result.returncode == 2 and "no utterance left_out in the manifest" in result.stderr
    result = run(recipe, *options, "--skip-missing")
    assert result.returncode == 0 and "1 of 2 mixtures left out" in result.stderr
    assert [mixture.snr_db for mixture in read_mixtures(tmp_path / "test" / "mixtures.jsonl")] == [(-0.5,)]


def test_the_published_networks_are_not_quick(recipe: Path, tmp_path: Path):
    result = run(recipe, "--quick", "--experiment", "published/contsep", "--output", tmp_path)
    assert result.returncode == 2 and "published" in result.stderr and len(result.stderr.splitlines()) == 1


def test_stage_0_names_the_dialogues_that_are_missing(recipe: Path, tree: tuple[Path, Path], tmp_path: Path):
    result = run(recipe, "--data-dir", tree[0], "--output", tmp_path)
    assert result.returncode == 2
    assert "9 of 2541" in result.stdout and "missing: 2532 dialogues: 9, 10, 11" in result.stdout


def test_the_first_stages_and_a_leak(recipe: Path, tree: tuple[Path, Path], tmp_path: Path):
    corpus, lists = tree
    options = ["--quick", "--data-dir", corpus, "--lists", lists, "--output", tmp_path, "--engine", "serial"]
    result = run(recipe, *options, "--stop-stage", "2")
    assert result.returncode == 0, result.stderr
    assert "test (21 utterances)" in result.stdout
    sums = (tmp_path / "lists" / "SHA256SUMS").read_text()
    assert len(sums.splitlines()) == 3 and "DailyTalk/test_mix.txt" in sums
    check = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path / "lists", capture_output=True
    )
    assert check.returncode == 0

    # a dialogue that got into another split by hand
    manifest = tmp_path / "utterances.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    lines[0] = lines[0].replace('"split": "test"', '"split": "train"')
    manifest.write_text("".join(lines))
    result = run(recipe, *options, "--stage", "2")
    assert result.returncode == 2
    assert "dialogue dailytalk-0: is in train (0_0_d0), test (1_1_d0)" in result.stderr
    assert "Stage 3" not in result.stdout

    # a list that was changed after it was fetched
    (tmp_path / "lists" / "DailyTalk" / "test_mix.txt").write_text("/0/0_0_d0.wav /3/0_1_d3.wav 0.0\n")
    result = run(recipe, *options, "--stage", "0", "--stop-stage", "0")
    assert result.returncode == 2 and "has changed since it was fetched" in result.stderr


@pytest.mark.recipe
@pytest.mark.parametrize("experiment", ["h_cont_ext"])
def test_quick_run_from_the_corpus_to_the_voice(
    recipe: Path, tree: tuple[Path, Path], tmp_path: Path, experiment: str
):
    corpus, lists = tree
    result = run(
        recipe,
        "--quick",
        "--experiment",
        experiment,
        "--data-dir",
        corpus,
        "--lists",
        lists,
        "--output",
        tmp_path,
    )
    assert result.returncode == 0, result.stderr[-2000:]

    mixtures = read_mixtures(tmp_path / "test" / "mixtures.jsonl")
    published = (lists / "DailyTalk" / "test_mix.txt").read_text().splitlines()
    assert len(mixtures) == 6
    for mixture, line in zip(mixtures, published, strict=False):
        assert mixture.sample_rate == 8000
        assert mixture.snr_db == pytest.approx((float(line.split()[-1]),))
    scored = [mixture for mixture in mixtures if len(mixture.history) >= 5]
    assert 0 < len(scored) < len(mixtures)
    for condition in ("history", "history-0-turns", "history-2-turns", "enrollment", "both"):
        metrics = json.loads((tmp_path / experiment / f"{condition}.json").read_text(encoding="utf-8"))
        assert metrics["n"] == len(scored) and metrics["n_failed"] == 0
    table = (tmp_path / f"results-{experiment}.md").read_text(encoding="utf-8")
    assert table.count(f"| {experiment} |") == 8
    assert (tmp_path / experiment / "report" / "index.html").stat().st_size > 1000

    extraction = json.loads(result.stdout[result.stdout.rindex("\n{") :])
    assert extraction["model"] == "corpus-h-cont-ext"
    assert soundfile.info(tmp_path / "voice.wav").frames == soundfile.info(scored[0].mixture).frames
