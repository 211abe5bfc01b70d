"""The TED-LIUM 3 recipe: sentences as in the paper's lists, defects of the corpus, and --quick to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.corpora.leaks import check_leaks
from cse.manifest import read_mixtures
from cse.testing.distributed import write_tedlium3

TRAIN, DEV, TEST = "TalkerAC_2009", "TalkerAD_2009", "TalkerAE_2009"  # of the lists; all lie in legacy/train


@pytest.fixture(scope="module")
def local(repository: Path) -> Path:
    return repository / "egs" / "tedlium3" / "local"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_tedlium3(tmp_path / "corpus", talks={"train": 1, "dev": 1, "test": 1}, sentences=4)
    return tmp_path / "corpus"


def write_talk(corpus: Path, talk: str, *lines: str, split: str = "train") -> None:
    text = "".join(f"{talk} 1 {line}\n" for line in lines)
    (corpus / "legacy" / split / "stm" / f"{talk}.stm").write_text(text, encoding="utf-8")


def test_ids_splits_and_histories_by_the_lists_for_speaker_adaptation(local: Path, tmp_path: Path, prepared):
    corpus = tmp_path / "corpus"
    ids = write_tedlium3(corpus, talks={"train": 1, "dev": 1, "test": 1}, sentences=4)
    utterances = prepared(local, corpus)
    for split, expected in ids.items():
        assert [one.id for one in utterances.values() if one.split == split] == expected
    last = utterances[ids["test"][-1]]
    assert (last.dialogue, last.speaker) == (TEST, TEST)
    before = [utterances[identity] for identity in ids["test"][:-1]]
    assert [(turn.text, turn.speaker) for turn in last.history] == [(one.text, one.speaker) for one in before]
    check_leaks(list(utterances.values()), disjoint="speakers")


def test_the_legacy_partition_is_by_folder_and_trains_on_the_talks_of_the_test_lists(
    local: Path, corpus: Path, prepared
):
    utterances = prepared(local, corpus, "--partition", "legacy").values()
    splits = {one.dialogue: one.split for one in utterances}
    assert splits == {
        "TalkerAA_2009": "dev",
        "TalkerAB_2009": "test",
        TRAIN: "train",
        DEV: "train",
        TEST: "train",
    }


def test_the_ids_of_published_segments_come_out_of_their_times(local: Path, corpus: Path, prepared, left_out):
    # times of the published AmandaBurden_2014-0085115-0085524; in binary, 0.29 s are 28.999 hundredths
    write_talk(
        corpus,
        TEST,
        "S 0.29 1.35 <o,f0,male> one",
        "S 2.005 2.999 <o,f0,male> two",
        "S 851.15 855.24 <o,f0,male> three",
    )
    prepared(local, corpus, "--max-left-out", "0.5")
    written = {path.stem for path in (corpus.parent / "out" / "audio" / "test").rglob("*.flac")}
    assert written == {f"{TEST}-0000028-0000135", f"{TEST}-0000200-0000299"}
    assert left_out(corpus)["left_out"]["beyond the end"]["items"][0]["id"] == f"{TEST}-0085115-0085524"


def test_sentences_of_training_talks_are_padded_but_never_into_each_other(
    local: Path, corpus: Path, prepared
):
    lines = ("S 0.10 1.00 <o,f0,male> one", "S 1.00 2.00 <o,f0,male> two", "S 3.00 4.00 <o,f0,male> three")
    write_talk(corpus, TRAIN, *lines)
    write_talk(corpus, "TalkerAA_2009", *lines, split="dev")
    utterances = prepared(local, corpus)

    def audio(identity: str) -> np.ndarray:
        return soundfile.read(utterances[identity].audio, dtype="int16")[0]

    for talk, split, expected in (
        (TRAIN, "train", [(0.0, 0.975), (0.975, 2.1), (2.85, 4.1)]),
        ("TalkerAA_2009", "dev", [(0.1, 1.0), (1.0, 2.0), (3.0, 4.0)]),
    ):
        recording = soundfile.read(corpus / "legacy" / split / "sph" / f"{talk}.sph", dtype="int16")[0]
        for places, (start_s, end_s) in zip(
            ("0000010-0000100", "0000100-0000200", "0000300-0000400"), expected, strict=True
        ):
            samples = recording[round(16000 * start_s) : round(16000 * end_s)]
            assert np.array_equal(audio(f"{talk}-{places}"), samples)


def test_texts_are_without_marks_and_with_their_clitics(local: Path, corpus: Path, prepared, left_out):
    write_talk(
        corpus,
        TEST,
        "S 0.20 1.00 <o,f0,female> <unk> i 'm sure that it 's [unk] the(2) café o 'clock {NOISE} (AB-1)",
        "S 1.20 2.00 <o,f0,female> <unk>",
        "S 2.20 3.00 <o,f0,female> you 've got 'em",
    )
    utterances = prepared(local, corpus)
    assert utterances[f"{TEST}-0000020-0000100"].text == "i'm sure that it's the café o'clock"
    assert utterances[f"{TEST}-0000120-0000200"].text is None
    last = utterances[f"{TEST}-0000220-0000300"]
    assert last.text == "you've got 'em"
    assert [turn.text for turn in last.history] == ["i'm sure that it's the café o'clock"]
    assert left_out(corpus)["kept"]["no text"]["count"] == 1


def test_defects_are_left_out_by_name_and_the_rest_is_there(local: Path, corpus: Path, prepared, left_out):
    write_talk(
        corpus,
        TEST,
        "inter_segment_gap 0 0.20 <o,,unknown> ignore_time_segment_in_scoring",
        "S 0.20 1.00 <o,f0,female> first",
        "S 0.20 1.00 <o,f0,female> first again",
        "S 1.50 1.50 <o,f0,female> nothing",
        "S once twice <o,f0,female> no times",
        "S 2.00",
        "S 2.00 3.00 <o,f0,female> last",
        "S 100.0 101.0 <o,f0,female> after the end",
    )
    (corpus / "legacy" / "train" / "sph" / f"{DEV}.sph").unlink()
    (corpus / "speaker-adaptation" / "train.lst").write_text(f"{TRAIN}\nNobody_2010\n")
    utterances = prepared(local, corpus, "--max-left-out", "0.9")
    report = left_out(corpus)
    named = {kind: [item["id"] for item in found["items"]] for kind, found in report["left_out"].items()}
    assert (
        named
        == {
            "no transcript": ["Nobody_2010"],
            "said twice": [f"{TEST}-0000020-0000100"],
            "no sentence": [f"{TEST}.stm:5", f"{TEST}.stm:6"],
            "beyond the end": [f"{TEST}-0010000-0010100"],
            "no recording": [f"{DEV}-{120 * place + 20:07d}-{120 * place + 120:07d}" for place in range(4)],
        }
        or named["no length"]
    )
    assert {item["id"] for item in report["left_out_on_purpose"]["in no list"]["items"]} == {
        "TalkerAA_2009",
        "TalkerAB_2009",
    }
    assert report["left_out_on_purpose"]["not to be scored"]["count"] > 0
    assert [turn.text for turn in utterances[f"{TEST}-0000200-0000300"].history] == ["first", "nothing"]


def test_too_much_left_out_is_an_error_that_says_what(local: Path, corpus: Path, prepare):
    (corpus / "legacy" / "train" / "sph" / f"{DEV}.sph").write_bytes(b"ajkg, compressed")
    result = prepare(local, corpus)
    assert result.returncode == 2
    assert "4 of 20 utterances" in result.stderr and "sox" in result.stderr
    assert not (corpus.parent / "out" / "utterances.jsonl").exists()


@pytest.mark.parametrize("missing", ["legacy/test/sph", "speaker-adaptation/dev.lst"])
def test_what_is_missing_is_named_with_where_to_get_it(
    local: Path, corpus: Path, missing: str, names_missing
):
    names_missing(local, corpus, missing)


def test_a_talk_in_two_lists_is_an_error(local: Path, corpus: Path, prepare):
    with (corpus / "speaker-adaptation" / "train.lst").open("a") as file:
        file.write(f"{TEST}\n")
    result = prepare(local, corpus)
    assert result.returncode == 2
    assert f"{TEST} is in train.lst too" in result.stderr


# ---- run.sh


def recipe(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [repository / "egs" / "tedlium3" / "run.sh", *arguments]
    return subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


def test_help_shows_every_option_with_its_default(repository: Path):
    result = recipe(repository, "--help")
    assert result.returncode == 0
    options = (
        "stage stop-stage quick experiment talkers data-dir lists skip-missing output partition max-history-turns"
        " engine"
    )
    for option in options.split():
        assert f"  --{option} " in result.stdout


def test_there_are_lists_for_2_and_3_talkers_only(repository: Path, tmp_path: Path):
    result = recipe(repository, "--talkers", "4", "--output", tmp_path / "exp")
    assert result.returncode == 2
    assert "got 4, expected 2 or 3" in result.stderr
    assert not (tmp_path / "exp").exists()


def test_stage_0_names_the_talks_that_are_missing(local: Path, corpus: Path, run):
    (corpus / "legacy" / "train" / "sph" / f"{DEV}.sph").unlink()
    (corpus / "legacy" / "train" / "stm" / f"{TRAIN}.stm").unlink()
    result = run(local / "check.py", "--corpus", corpus)
    assert result.returncode == 2
    assert f"2 of 5 talks lack their transcript or their recording: {TRAIN}, {DEV};" in result.stderr
    partial = run(local / "check.py", "--corpus", corpus, "--partial")
    assert partial.returncode == 0
    assert "speaker-adaptation train: 2 of 3 talks" in partial.stdout


@pytest.mark.recipe
def test_quick_run_of_three_talkers_from_the_corpus_to_the_voice(repository: Path, tmp_path: Path):
    ids = write_tedlium3(tmp_path / "corpus", talks={"train": 4, "dev": 4, "test": 3}, sentences=6)["test"]
    talks = [ids[first : first + 6] for first in range(0, 18, 6)]
    names = [[f"/{identity.split('-')[0]}/{identity}.wav" for identity in talk] for talk in talks]
    pairs = [f"{names[0][n]} {names[1][n]} 1.5000" for n in range(6)]
    triples = [
        f"{names[n % 3][n]} {names[(n + 1) % 3][n]} {names[(n + 2) % 3][n]} 1.5000 -0.7500" for n in range(6)
    ]
    lists = tmp_path / "lists" / "TEDLIUM"
    lists.mkdir(parents=True)
    (lists / "test_mix.txt").write_text("\n".join(pairs) + "\n")
    (lists / "test_mix_3speaker.txt").write_text("\n".join(triples) + "\n")
    options = ["--data-dir", tmp_path / "corpus", "--lists", lists.parent, "--output", tmp_path / "exp"]
    result = recipe(
        repository, "--quick", *options, "--talkers", "3", "--experiment", "cont_ext", "--workers", "2"
    )
    assert result.returncode == 0, result.stderr[-2000:]

    output = tmp_path / "exp" / "3talkers"
    mixtures = read_mixtures(output / "test" / "mixtures.jsonl")
    assert [mixture.snr_db for mixture in mixtures] == [(1.5, -0.75)] * 6
    assert [len(mixture.history) for mixture in mixtures] == list(range(6))
    assert {mixture.sample_rate for mixture in mixtures} == {8000}
    for condition in ("history", "history-0-turns", "history-2-turns"):
        metrics = json.loads((output / "cont_ext" / f"{condition}.json").read_text(encoding="utf-8"))
        assert (metrics["n"], metrics["n_failed"]) == (6, 0)
    assert "| cont_ext |" in (output / "results-cont_ext.md").read_text(encoding="utf-8")
    extraction = json.loads(result.stdout[result.stdout.rindex("\n{") :])
    assert extraction["model"] == "corpus-cont-ext"
    assert soundfile.info(output / "voice.wav").frames == soundfile.info(mixtures[0].mixture).frames

    # two talkers are mixed of the same utterances
    manifest = (tmp_path / "exp" / "utterances.jsonl").stat()
    result = recipe(repository, "--quick", *options, "--stage", "3", "--stop-stage", "3")
    assert (
        result.returncode == 2 and "lists/TEDLIUM/test_mix.txt" in result.stderr
    )  # they are fetched by stage 0
    for stage in ("0", "3"):
        result = recipe(repository, "--quick", *options, "--stage", stage, "--stop-stage", stage)
        assert result.returncode == 0, result.stderr[-2000:]
    mixtures = read_mixtures(tmp_path / "exp" / "2talkers" / "test" / "mixtures.jsonl")
    assert [mixture.snr_db for mixture in mixtures] == [(1.5,)] * 6
    assert (tmp_path / "exp" / "utterances.jsonl").stat() == manifest
