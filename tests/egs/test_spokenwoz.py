"""The SpokenWOZ recipe: utterances as in the paper's lists, defects of the corpus, and --quick to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cse.corpora.leaks import check_leaks
from cse.manifest import read_mixtures, read_utterances
from cse.testing.distributed import write_spokenwoz


@pytest.fixture(scope="module")
def local(repository: Path) -> Path:
    return repository / "egs" / "spokenwoz" / "local"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_spokenwoz(tmp_path / "corpus", dialogues={"train": 2, "dev": 1, "test": 1}, turns=6)
    return tmp_path / "corpus"


def edit(corpus: Path, change: Callable[[dict[str, Any]], None], part: str = "train_dev") -> None:
    path = corpus / f"text_5700_{part}" / "data.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def test_ids_splits_speakers_and_histories(local: Path, tmp_path: Path, prepared):
    corpus = tmp_path / "corpus"
    ids = write_spokenwoz(corpus, dialogues={"train": 2, "dev": 1, "test": 1}, turns=6)
    utterances = prepared(local, corpus)
    for split, expected in ids.items():
        assert [one.id for one in utterances.values() if one.split == split] == expected
    turn = utterances["3_1_MUL0001"]
    assert (turn.dialogue, turn.speaker) == ("MUL0001", "MUL0001-system")
    before = [utterances[f"{place}_{place % 2}_MUL0001"] for place in range(3)]
    assert [(said.text, said.speaker) for said in turn.history] == [(one.text, one.speaker) for one in before]
    check_leaks(list(utterances.values()), disjoint="speakers")


def test_audio_is_the_speakers_channel_from_the_first_word_to_the_last(local: Path, corpus: Path, prepared):
    call, rate = soundfile.read(corpus / "audio_5700_train_dev" / "MUL0000.wav", dtype="int16")
    for channel, turn in enumerate(("2_0_MUL0000", "3_1_MUL0000")):
        utterance = prepared(local, corpus)[turn]
        start = round((2 + channel) * 1.2 * rate)
        assert utterance.sample_rate == rate == 8000
        assert utterance.duration_s == 1.0
        samples = soundfile.read(utterance.audio, dtype="int16")[0]
        assert np.array_equal(samples, call[start : start + rate, channel])


def test_both_channels_as_in_the_papers_preparation_replace_those_of_one(local: Path, corpus: Path, prepared):
    one = soundfile.read(prepared(local, corpus)["2_0_MUL0000"].audio)[0]
    both = soundfile.read(prepared(local, corpus, "--channels", "mean")["2_0_MUL0000"].audio)[0]
    assert np.allclose(both, one / 2, atol=2e-4)  # the other one does not speak then


def test_history_may_be_cut_to_its_last_turns(local: Path, corpus: Path, prepared):
    utterances = prepared(local, corpus, "--max-history-turns", "2")
    texts = [utterances[f"{place}_{place % 2}_MUL0000"].text for place in (3, 4)]
    assert [turn.text for turn in utterances["5_1_MUL0000"].history] == texts
    assert not prepared(local, corpus, "--max-history-turns", "0")["5_1_MUL0000"].history


def test_defects_are_left_out_by_name_and_their_words_stay_in_the_history(
    local: Path, corpus: Path, prepared, left_out
):
    def spoil(data: dict[str, Any]) -> None:
        log = data["MUL0000"]["log"]
        log[0]["words"] = []
        log[1]["words"][-1]["EndTime"] = log[1]["words"][0]["BeginTime"]
        log[2]["words"][0]["BeginTime"] = 900_000
        log[2]["words"][-1]["EndTime"] = 901_000
        log[3]["words"][-1]["EndTime"] = 900_000
        log[4].pop("words")
        del data["MUL0001"]["log"][2]["tag"]
        data["MUL0001"]["log"][3]["text"] = None
        data["MUL0001"]["log"][4]["words"] = [{"Word": "café"}]

    edit(corpus, spoil)
    (corpus / "audio_5700_test" / "MUL0003.wav").unlink()
    utterances = prepared(local, corpus, "--max-left-out", "0.9")
    report = left_out(corpus)
    named = {kind: [item["id"] for item in found["items"]] for kind, found in report["left_out"].items()}
    assert named == {
        "no words": ["0_0_MUL0000", "4_0_MUL0000", "4_0_MUL0001"],
        "no length": ["1_1_MUL0000"],
        "beyond the end": ["3_1_MUL0000", "2_0_MUL0000"],
        "no speaker": ["2_?_MUL0001"],
        "no recording": [f"{place}_{place % 2}_MUL0003" for place in range(6)],
    }
    assert [item["id"] for item in report["kept"]["no text"]["items"]] == ["3_1_MUL0001"]
    assert report["utterances"] == len(utterances) == 24 - 13
    assert [turn.speaker for turn in utterances["5_1_MUL0000"].history] == [
        "MUL0000-user",
        "MUL0000-system",
    ] * 2 + ["MUL0000-user"]
    assert utterances["3_1_MUL0001"].text is None
    assert len(utterances["5_1_MUL0001"].history) == 3


def test_dialogues_known_as_broken_are_left_out_and_said(local: Path, corpus: Path, prepare):
    broken = [
        "SNG0601",
        "SNG0646",
        "SNG0653",
        "SNG0877",
        "SNG0885",
        "SNG0890",
        "SNG0897",
        "SNG0901",
        "SNG0903",
    ]
    edit(corpus, lambda data: data.update(dict.fromkeys(broken, data["MUL0003"])), part="test")
    result = prepare(local, corpus)
    assert result.returncode == 0
    assert "left out on purpose: 9 known as broken (SNG0601, SNG0646, SNG0653, …)" in result.stdout
    utterances = read_utterances(corpus.parent / "out" / "utterances.jsonl")
    assert not {utterance.dialogue for utterance in utterances} & set(broken)


def test_overlapping_turns_are_kept_and_counted_where_they_share_a_channel(
    local: Path, corpus: Path, prepared, left_out
):
    def spoil(data: dict[str, Any]) -> None:
        data["MUL0000"]["log"][1]["words"][-1]["EndTime"] = 2900  # into the user's next turn: another channel
        data["MUL0001"]["log"][2]["words"][0]["BeginTime"] = 600  # into the user's first one

    edit(corpus, spoil)
    assert len(prepared(local, corpus)) == 24
    assert left_out(corpus)["kept"]["overlap"] == {
        "count": 1,
        "items": [{"id": "2_0_MUL0001", "reason": "begins 0.40 s before the turn before it is over"}],
    }


def test_texts_of_any_language_and_without_marks(local: Path, corpus: Path, prepared):
    def spoil(data: dict[str, Any]) -> None:
        data["MUL0000"]["log"][0]["text"] = " El [unk] Niño,\n 北京  <unk> café "

    edit(corpus, spoil)
    utterances = prepared(local, corpus)
    assert utterances["0_0_MUL0000"].text == utterances["1_1_MUL0000"].history[0].text == "El Niño, 北京 café"


def test_too_much_left_out_is_an_error_that_says_what(local: Path, corpus: Path, prepare, left_out):
    (corpus / "audio_5700_test" / "MUL0003.wav").unlink()
    result = prepare(local, corpus)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "6 of 24 utterances" in result.stderr and "MUL0003.wav" in result.stderr
    assert not (corpus.parent / "out" / "utterances.jsonl").exists()
    assert left_out(corpus)["left_out"]["no recording"]["count"] == 6


@pytest.mark.parametrize("missing", ["audio_5700_test", "text_5700_train_dev/valListFile.json"])
def test_what_is_missing_is_named_with_where_to_get_it(
    local: Path, corpus: Path, missing: str, names_missing
):
    names_missing(local, corpus, missing)


def test_a_list_of_another_corpus_is_an_error(local: Path, corpus: Path, prepare):
    (corpus / "text_5700_train_dev" / "valListFile.json").write_text("PMUL0001.json\n")
    result = prepare(local, corpus)
    assert result.returncode == 2
    assert "one id a line" in result.stderr


# ---- run.sh


def recipe(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [repository / "egs" / "spokenwoz" / "run.sh", *arguments]
    return subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


def test_help_shows_every_option_with_its_default(repository: Path):
    result = recipe(repository, "--help")
    assert result.returncode == 0
    options = (
        "stage stop-stage quick experiment data-dir lists skip-missing output channels max-history-turns"
        " engine workers"
    )
    for option in options.split():
        assert f"  --{option} " in result.stdout


def test_stage_0_names_the_recordings_that_are_missing(local: Path, corpus: Path, run):
    (corpus / "audio_5700_train_dev" / "MUL0001.wav").unlink()
    result = run(local / "check.py", "--corpus", corpus)
    assert result.returncode == 2
    assert "2 of 4700 recordings, missing: MUL0001.wav;" in result.stderr
    assert run(local / "check.py", "--corpus", corpus, "--partial").returncode == 0
    nothing = run(local / "check.py", "--corpus", "")
    assert nothing.returncode == 2 and "got no --data-dir" in nothing.stderr


@pytest.mark.recipe
def test_quick_run_from_the_corpus_to_the_voice(repository: Path, tmp_path: Path):
    ids = write_spokenwoz(tmp_path / "corpus", turns=12)["test"]
    # the last turns of each dialogue, with the same turn of the next one
    names = sorted({identity.split("_")[2] for identity in ids})
    lines = [
        f"/{name}/{turn}_{turn % 2}_{name}.wav /{other}/{turn}_{turn % 2}_{other}.wav {snr_db:.4f}"
        for turn, snr_db in ((2, 0.5), (10, -2.25), (11, 3.125))
        for name, other in zip(names, names[1:] + names[:1], strict=True)
    ]
    (tmp_path / "lists" / "SpokenWoz").mkdir(parents=True)
    (tmp_path / "lists" / "SpokenWoz" / "test_mix.txt").write_text("\n".join(lines) + "\n")
    output = tmp_path / "exp"
    options = ["--data-dir", tmp_path / "corpus", "--lists", tmp_path / "lists", "--output", output]
    result = recipe(repository, "--quick", *options, "--workers", "2")
    assert result.returncode == 0, result.stderr[-2000:]

    mixtures = read_mixtures(output / "test" / "mixtures.jsonl")
    assert [mixture.snr_db for mixture in mixtures] == [(0.5,)] * 3 + [(-2.25,)] * 3
    assert [len(mixture.history) for mixture in mixtures] == [2] * 3 + [10] * 3
    assert {turn.speaker for turn in mixtures[3].history} == {f"{names[0]}-user", f"{names[0]}-system"}
    for condition in ("history", "history-0-turns", "history-2-turns"):
        metrics = json.loads((output / "contsep" / f"{condition}.json").read_text(encoding="utf-8"))
        assert (metrics["n"], metrics["n_failed"]) == (3, 0)  # those with ten turns of history
    assert "| contsep |" in (output / "results-contsep.md").read_text(encoding="utf-8")
    extraction = json.loads(result.stdout[result.stdout.rindex("\n{") :])
    assert extraction["model"] == "corpus-contsep"
    assert soundfile.info(output / "voice.wav").frames == soundfile.info(mixtures[3].mixture).frames
