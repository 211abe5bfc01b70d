"""`cse evaluate` from the outside: exit codes, what is printed where, what is written."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from cse.cli import main
from cse.errors import CheckpointError, MissingCueError
from cse.extractor import Extractor


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    """Make `Extractor.from_pretrained` return an extractor of the test; its calls are remembered."""
    loaded: list[tuple[str | None, str]] = []

    def use(extractor):
        def from_pretrained(name_or_path: str | None = None, *, device: str = "cpu", **_: None):
            loaded.append((name_or_path, device))
            return extractor

        monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(from_pretrained))
        return loaded

    return use


def test_table_json_and_report(manifest_path: Path, fake, install, tmp_path: Path, capsys) -> None:
    pytest.importorskip("matplotlib")
    loaded = install(fake("ideal"))
    code = main([
        "evaluate", "--manifest", str(manifest_path), "--model", "some-model",
        "--json", str(tmp_path / "metrics.json"),
        "--report", str(tmp_path / "report"), "--seed", "7", "--examples", "2",
    ])  # fmt: skip
    out, err = capsys.readouterr()
    assert code == 0
    assert loaded == [("some-model", "cpu")]
    assert "right voice" in out and "100.0 %" in out and "SI-SDRi" in out and "20.0 dB" in out
    assert "right voice, 3-4 turns" in out and "items without the target" in out
    assert "{" not in out and "evaluate:" in err, "the bar belongs on stderr"
    numbers = json.loads((tmp_path / "metrics.json").read_text())
    assert numbers["n"] == 4
    settings = numbers["settings"]
    assert (
        settings["manifest"] == str(manifest_path) and settings["seed"] == 7 and settings["model"] == "fake"
    )
    assert settings["versions"]["numpy"] == np.__version__
    assert (tmp_path / "report" / "index.html").is_file()
    assert len(list((tmp_path / "report" / "report_files").glob("example_*_estimate.wav"))) == 2


def test_json_alone_on_stdout(manifest_path: Path, fake, install, capsys) -> None:
    install(fake("swapped"))
    assert main(["evaluate", "--manifest", str(manifest_path), "--json", "-", "--limit", "2"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["n"] == 2 and numbers["selection_accuracy"] == 0.0


def test_history_turns_and_cues_reach_the_extractor(manifest_path: Path, fake, install) -> None:
    extractor = fake("ideal")
    install(extractor)
    assert (
        main(["evaluate", "--manifest", str(manifest_path), "--history-turns", "0", "--cues", "history"]) == 0
    )
    assert [history for _, history, _ in extractor.calls] == [[], [], [], []]


def test_when_every_item_fails_the_numbers_are_written_and_the_code_is_2(
    manifest_path: Path, fake_that_answers, install, tmp_path: Path, capsys
) -> None:
    def failing(item, voices):
        raise MissingCueError("no cue at all")

    install(fake_that_answers(failing))
    assert main(["evaluate", "--manifest", str(manifest_path), "--json", str(tmp_path / "metrics.json")]) == 2
    err = capsys.readouterr().err
    assert "all 4 items failed" in err and "no cue at all" in err and "Traceback" not in err
    assert json.loads((tmp_path / "metrics.json").read_text())["n_failed"] == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cues", "smell"], "smell"),
        (["--cues", ","], "none"),
        (["--cues", "enrollment"], "4 of 4 mixtures have none"),
        (["--metrics", "pesq,mos"], "mos"),
        (["--history-turns", "-1"], "-1"),
        (["--limit", "0"], "1 or more"),
        (["--seed", "x"], "'x'"),
        (["--wer-transcriber", "pocketsphinx"], "--metrics wer"),
        (["--wer-transcriber", "no/such/whisper", "--metrics", "wer"], "no/such/whisper"),
        (["--json", "no/such/folder/m.json"], "no/such/folder"),
        (["--json", "."], "folder"),
        (["--manifest", "no_such.jsonl"], "no_such.jsonl"),
        ([], "--manifest"),
    ],
)
def test_wrong_options_end_with_2_before_a_model_is_loaded(
    options: list[str], words: str, manifest_path: Path, fake, install, capsys
) -> None:
    loaded = install(fake("ideal"))
    manifest = [] if "--manifest" in options or not options else ["--manifest", str(manifest_path)]
    try:
        code = main(["evaluate", *manifest, *options])
    except SystemExit as leaving:  # argparse
        assert isinstance(leaving.code, int)
        code = leaving.code
    out, err = capsys.readouterr()
    assert code == 2 and words in err and out == "" and "Traceback" not in err
    assert loaded == []


def test_a_report_in_somebody_elses_folder_is_refused_before_the_work(
    manifest_path: Path, fake, install, tmp_path: Path, capsys
) -> None:
    (tmp_path / "index.html").write_text("my site")
    loaded = install(fake("ideal"))
    assert main(["evaluate", "--manifest", str(manifest_path), "--report", str(tmp_path)]) == 2
    assert "index.html" in capsys.readouterr().err
    assert loaded == [] and (tmp_path / "index.html").read_text() == "my site"


def test_a_metric_without_its_package_is_null_and_said(
    manifest_path: Path, fake, install, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "cse.cli.evaluate.find_spec", lambda name: None if name in ("pesq", "jiwer") else find_spec(name)
    )
    install(fake("ideal"))
    code = main(["evaluate", "--manifest", str(manifest_path), "--json", "-", "--metrics", "pesq,wer"])
    out, err = capsys.readouterr()
    assert code == 0
    assert json.loads(out)["pesq"] is None
    assert (
        "PESQ needs the package pesq" in err
        and "WER needs the package jiwer" in err
        and "cse[metrics]" in err
    )


def test_the_transcriber_reads_the_estimates(manifest_path: Path, fake, install, capsys) -> None:
    pytest.importorskip("pocketsphinx")
    pytest.importorskip("jiwer")
    install(fake("ideal"))
    options = ["--metrics", "wer", "--wer-transcriber", "pocketsphinx", "--limit", "1", "--json", "-"]
    assert main(["evaluate", "--manifest", str(manifest_path), *options]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["settings"]["transcriber"] == "pocketsphinx"
    row = numbers["per_item"][0]
    assert row["transcript"] != row["candidates"][1]["transcript"], "a tone is no sentence"
    assert row["wer"] is not None and row["wer"] > 0


def test_a_missing_model_is_one_line(manifest_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def missing(name_or_path=None, **_):
        raise CheckpointError(f"{name_or_path}: no such model")

    monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(missing))
    assert main(["evaluate", "--manifest", str(manifest_path), "--model", "nothing"]) == 2
    assert capsys.readouterr().err == "cse evaluate: nothing: no such model\n"


def test_more_talkers_than_the_model_has_are_a_warning(manifest_path: Path, fake, install, capsys) -> None:
    extractor = fake("ideal")
    extractor.talkers = 1
    install(extractor)
    assert main(["evaluate", "--manifest", str(manifest_path)]) == 0
    err = capsys.readouterr().err
    assert "of 4 mixtures" in err and "fake was made for 1: some will share an estimate" in err
    extractor.talkers = 3
    assert main(["evaluate", "--manifest", str(manifest_path)]) == 0
    assert "warning" not in capsys.readouterr().err


def test_a_swapped_cue_that_the_manifest_does_not_have_is_one_line(
    manifest_path: Path, fake, install, capsys
) -> None:
    extractor = fake("ideal")
    install(extractor)
    assert main(["evaluate", "--manifest", str(manifest_path), "--swap", "history"]) == 2
    assert "swap history: none of" in capsys.readouterr().err
    assert not extractor.calls
