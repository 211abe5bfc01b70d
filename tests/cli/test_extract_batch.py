"""`cse extract` over a folder or a manifest: what it writes, skips, survives and refuses."""

from __future__ import annotations

import argparse
import io
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cse.cli import extract_batch, main
from cse.cli.batch_items import BatchItem, items_of
from cse.cli.batch_work import ExtractOne, Failed
from cse.cli.extract_batch import run_batch
from cse.cli.models import add_model_options
from cse.engines.pool import Pool
from cse.engines.serial import Serial
from cse.errors import CheckpointError, ConfigError, InvalidAudioError
from cse.extractor import Extractor
from cse.testing.models import told_extractor
from cse.testing.work import PassingOn

RATE = 16000
CONTRACT = {
    "output", "probability", "abstained", "target_present", "talkers", "candidates", "context_turns",
    "turn_attribution", "duration_s", "sample_rate", "real_time_factor", "model", "warnings",
}  # fmt: skip


@pytest.fixture
def notes(tmp_path) -> Path:
    """Four recordings, of which one has no history and one is no audio."""
    folder = tmp_path / "notes"
    folder.mkdir()
    time = np.arange(RATE) / RATE
    for number, name in enumerate(("a.wav", "b.flac", "c.wav")):
        low, high = (np.sin(2 * np.pi * hz * time) for hz in (300 + 50 * number, 2500))
        soundfile.write(folder / name, 0.2 * low + 0.1 * high, RATE)
    (folder / "a.txt").write_text("Ana: Where shall we meet?\n")
    (folder / "b.json").write_text('[{"speaker": "Ana", "text": "Hi"}, {"speaker": "Ben", "text": "Hello"}]')
    (folder / "d.ogg").write_text("this is no audio")
    (folder / "d.txt").write_text("Ana: Hi\n")
    return folder


@pytest.fixture
def loads(monkeypatch) -> list[Extractor]:
    """Every model that was loaded; it is known exactly."""
    loaded: list[Extractor] = []

    def load(*_: object, **__: object) -> Extractor:
        loaded.append(told_extractor(1))
        return loaded[-1]

    monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(load))
    return loaded


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main(["extract", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_bad_recordings_do_not_stop_the_others(capsys, notes, tmp_path, loads):
    out = tmp_path / "out"
    code, _, err = run(capsys, notes, "-o", out)
    assert code == 2
    assert [result["output"] for result in lines(out / "results.jsonl")] == [
        str(out / "a.wav"), str(out / "b.wav")
    ]  # fmt: skip
    assert all(set(result) == CONTRACT for result in lines(out / "results.jsonl"))
    assert [result["context_turns"] for result in lines(out / "results.jsonl")] == [1, 2]
    assert [failure["name"] for failure in lines(out / "failures.jsonl")] == ["c.wav", "d.ogg"]
    summary = err.strip().splitlines()[-1]
    assert summary.startswith("cse extract: 2 of 4 recordings failed, c.wav first: got neither a history")
    assert "expected c.txt or c.json beside it" in summary
    assert "Traceback" not in err
    voice, rate = soundfile.read(out / "a.wav")
    assert (voice.shape, rate) == ((RATE,), RATE)
    assert np.std(voice) == pytest.approx(0.1 / np.sqrt(2), rel=0.05)
    assert sorted(path.name for path in out.glob("*.wav")) == ["a.wav", "b.wav"]
    assert len(loads) == 1


def test_a_second_run_does_only_what_is_missing_or_has_changed(capsys, notes, tmp_path, loads):
    out = tmp_path / "out"
    run(capsys, notes, "-o", out)
    before = {name: (out / name).stat().st_mtime_ns for name in ("a.wav", "b.wav")}
    first = lines(out / "results.jsonl")
    (notes / "c.txt").write_text("Ana: Hi\n")
    (notes / "d.ogg").unlink()
    (notes / "b.json").write_text('[{"speaker": "Ana", "text": "Hi"}]')
    code, stdout, _ = run(capsys, notes, "-o", out, "--json")
    assert code == 0
    assert (out / "a.wav").stat().st_mtime_ns == before["a.wav"]
    assert (out / "b.wav").stat().st_mtime_ns != before["b.wav"]
    second = lines(out / "results.jsonl")
    assert second[0] == first[0]
    assert [result["context_turns"] for result in second] == [1, 1, 1]
    assert [json.loads(line) for line in stdout.splitlines()] == second
    assert not (out / "failures.jsonl").exists()
    loads.clear()
    assert run(capsys, notes, "-o", out)[0] == 0
    assert loads == []
    (out / "a.wav").unlink()
    assert run(capsys, notes, "-o", out)[0] == 0
    assert len(loads) == 1
    assert (out / "a.wav").exists()


@pytest.mark.usefixtures("loads")
def test_one_history_and_one_enrollment_for_all(capsys, notes, tmp_path):
    (notes / "d.ogg").unlink()
    (tmp_path / "chat.txt").write_text("Ana: one\nBen: two\nAna: three\n")
    out = tmp_path / "out"
    assert run(capsys, notes, "-o", out, "--history", tmp_path / "chat.txt")[0] == 0
    assert [result["context_turns"] for result in lines(out / "results.jsonl")] == [3, 3, 3]
    for path in (*notes.glob("*.txt"), *notes.glob("*.json")):
        path.unlink()
    assert run(capsys, notes, "-o", out, "--enrollment", notes / "a.wav")[0] == 0
    assert [result["context_turns"] for result in lines(out / "results.jsonl")] == [0, 0, 0]


@pytest.mark.usefixtures("loads")
def test_a_manifest_has_its_own_histories(capsys, made_up_mixtures, tmp_path):
    out = tmp_path / "out"
    code, stdout, _ = run(capsys, made_up_mixtures, "-o", out)
    assert (code, stdout) == (0, f"{out / 'results.jsonl'}: 3 voices\n")
    expected = [(line["id"], len(line["history"])) for line in lines(made_up_mixtures)]
    results = lines(out / "results.jsonl")
    assert [(Path(result["output"]).stem, result["context_turns"]) for result in results] == expected


def test_absent_targets_alone_are_exit_code_3(capsys, notes, tmp_path, monkeypatch):
    for name in ("c.wav", "d.ogg"):
        (notes / name).unlink()
    monkeypatch.setattr(
        Extractor, "from_pretrained", staticmethod(lambda *_, **__: told_extractor(p_none=0.8))
    )
    code, _, err = run(capsys, notes, "-o", tmp_path / "out")
    assert code == 3
    assert "2 of 2 recordings failed, a.wav first" in err
    code, _, _ = run(capsys, notes, "-o", tmp_path / "out", "--on-absent", "silence")
    assert code == 0
    assert not any(result["target_present"] for result in lines(tmp_path / "out" / "results.jsonl"))


@pytest.mark.usefixtures("loads")
def test_a_bug_in_one_recording_is_told_and_the_others_go_on(capsys, notes, tmp_path, monkeypatch):
    (notes / "c.txt").write_text("Ana: Hi\n")
    extract = Extractor.extract

    def broken(self: Extractor, audio: Path, *arguments: object, **options: object):
        if audio.name == "a.wav":
            raise IndexError("off by one")
        return extract(self, audio, *arguments, **options)

    monkeypatch.setattr(Extractor, "extract", broken)
    with pytest.raises(RuntimeError, match="2 of 4 recordings failed, a.wav first: IndexError: off by one"):
        run(capsys, notes, "-o", tmp_path / "out")
    assert "Traceback" in capsys.readouterr().err
    assert len(lines(tmp_path / "out" / "results.jsonl")) == 2


def test_a_model_that_is_not_there_stops_everything(capsys, notes, tmp_path):
    code, _, err = run(capsys, notes, "-o", tmp_path / "out", "--model", "no-such-model")
    assert code == 2
    assert "no-such-model: no such model" in err.strip().splitlines()[-1]
    assert not (tmp_path / "out" / "results.jsonl").exists()


@pytest.mark.usefixtures("loads")
@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["-o", "{notes}"], "the folder of the recordings"),
        (["-o", "{notes}/voice.wav"], "the name of a file for many recordings"),
        (["-o", "{notes}/a.wav/out"], "cannot make this folder"),
        (["-o", "{notes}/out", "--workers", "2"], "engine serial"),
        (["-o", "{notes}/out", "--engine", "pool", "--workers", "0"], "expected 1 or more"),
        (["-o", "{notes}/out", "--engine", "pool", "--ray-address", "auto"], "take the engine ray"),
    ],
)
def test_options_that_do_not_go_together_are_one_line_and_leave_nothing(capsys, notes, options, part):
    before = sorted(notes.iterdir())
    code, out, err = run(capsys, notes, *(option.format(notes=notes) for option in options))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert part in err
    assert sorted(notes.iterdir()) == before


@pytest.mark.usefixtures("loads")
def test_one_recording_has_no_engine(capsys, notes, tmp_path):
    code, _, err = run(
        capsys, notes / "a.wav", "--history", notes / "a.txt", "-o", tmp_path / "v.wav", "--engine", "pool"
    )
    assert code == 2
    assert "--engine: got one recording" in err


def test_what_cannot_be_told_apart_is_refused(notes, tmp_path):
    soundfile.write(notes / "a.flac", np.zeros(100), RATE)
    with pytest.raises(ConfigError, match=r"a\.flac and a\.wav: both would be written to .*a\.wav"):
        items_of(str(notes), tmp_path)
    (notes / "a.flac").unlink()
    (notes / "a.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"two histories, a\.txt and a\.json"):
        items_of(str(notes), tmp_path)


def test_ids_of_a_manifest_cannot_leave_the_folder(made_up_mixtures, tmp_path):
    records = lines(made_up_mixtures)
    for record, name in zip(records, ("../../x", ".hidden", "a b/c"), strict=True):
        record["id"] = name
    manifest = made_up_mixtures.parent / "odd.jsonl"
    manifest.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert [item.output.name for item in items_of(str(manifest), tmp_path)] == [
        "_.._x.wav", "hidden.wav", "a_b_c.wav"
    ]  # fmt: skip


@pytest.fixture
def many(tmp_path) -> list[BatchItem]:
    folder, out = tmp_path / "many", tmp_path / "many" / "out"
    (out / ".done").mkdir(parents=True)
    time = np.arange(RATE // 2) / RATE
    for number in range(5):
        tones = 0.2 * np.sin(2 * np.pi * (300 + 50 * number) * time) + 0.1 * np.sin(2 * np.pi * 2500 * time)
        soundfile.write(folder / f"note{number}.wav", tones, RATE)
        (folder / f"note{number}.txt").write_text("Ana: Hi\n")
    return items_of(str(folder), out)


def passing_on(folder: Path, *, deaths: int) -> ExtractOne:
    """Work that dies on note1.wav."""
    load: Any = partial(PassingOn, deadly="note1.wav", folder=folder, deaths=deaths)
    return ExtractOne(load=load, options={})


def test_a_pool_writes_the_same_bytes_though_a_worker_is_killed(many, tmp_path):
    assert all(
        isinstance(result, dict) for result in run_batch(many, passing_on(tmp_path, deaths=0), Serial())
    )
    expected = [item.output.read_bytes() for item in many]
    for item in many:
        item.output.unlink()
    results = run_batch(many, passing_on(tmp_path, deaths=1), Pool(2))
    assert (tmp_path / "death0").exists()
    assert [Path(result["output"]) for result in results] == [item.output for item in many]
    assert [item.output.read_bytes() for item in many] == expected


def test_a_recording_that_kills_every_worker_is_one_that_failed(many, tmp_path):
    results = run_batch(many, passing_on(tmp_path, deaths=9), Pool(2))
    assert [isinstance(result, Failed) for result in results] == [False, True, False, False, False]
    assert "died 3 times" in results[1].message


def test_workers_say_that_a_model_cannot_be_loaded(many):
    def load() -> Extractor:
        raise CheckpointError("m: no such model")

    broken = ExtractOne(load=load, options={})
    with pytest.raises(CheckpointError, match=r"note0\.wav: m: no such model"):
        run_batch(many, broken, Serial())


# ---- what is read


def manifest_of(folder: Path, name: str) -> Path:
    record = {
        "id": "a", "mixture": "a.wav", "target": None, "interferers": [], "noise": None, "sample_rate": RATE,
        "duration_s": 1.0, "history": [{"speaker": "Ana", "text": "Hi"}], "target_speaker": None, "target_text": None,
        "interferer_texts": [], "enrollment": None, "snr_db": [], "rt60_s": None, "seed": 0,
    }  # fmt: skip
    (folder / name).write_text(json.dumps(record) + "\n")
    return folder / name


@pytest.mark.parametrize(("manifest", "kept"), [("m.jsonl", "a.wav"), ("results.jsonl", "results.jsonl")])
def test_what_a_manifest_names_and_the_manifest_are_never_overwritten(capsys, notes, loads, manifest, kept):
    path = manifest_of(notes, manifest)
    if kept != "a.wav":
        path.write_text(path.read_text().replace('"id": "a"', '"id": "another"'))
    before = (notes / kept).read_bytes()
    code, _, err = run(capsys, path, "-o", notes)
    assert code == 2
    assert f"-o {notes / kept}: got the file of the input" in err
    assert (notes / kept).read_bytes() == before
    assert loads == []


def test_an_enrollment_for_all_is_never_overwritten(capsys, notes, tmp_path, loads):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.wav").write_bytes((notes / "a.wav").read_bytes())
    before = (out / "a.wav").read_bytes()
    code, _, err = run(capsys, notes, "--enrollment", out / "a.wav", "-o", out)
    assert (code, loads) == (2, [])
    assert f"-o {out / 'a.wav'}: got the file of the input" in err
    assert (out / "a.wav").read_bytes() == before


# ---- names that are no text


def test_a_name_that_is_no_text_stops_nothing(capsys, notes, tmp_path, loads):
    name = os.fsdecode(b"a\xff.wav")
    try:
        (notes / "a.wav").rename(notes / name)
    except OSError:
        pytest.skip("this file system takes only text for names")
    for file in ("b.flac", "b.json", "c.wav", "d.ogg", "d.txt"):
        (notes / file).unlink()
    (notes / "a.txt").rename(notes / os.fsdecode(b"a\xff.txt"))
    out = tmp_path / "out"
    for _ in range(2):
        code, stdout, err = run(capsys, notes, "-o", out, "--json")
        assert (code, "Traceback" in err) == (0, False)
        assert [line["output"] for line in lines(out / "results.jsonl")] == [str(out / name)]
        assert json.loads(stdout)["output"] == str(out / name)
        assert stdout.encode("utf-8"), "what is printed is text"
    assert (out / name).is_file()
    assert len(loads) == 1, "the second time it was done"


# ---- one history for all


EXPORT = "".join(
    f"[01.03.24, 14:0{minute}:00] {line}\n"
    for minute, line in enumerate(
        (
            "Ana: Where?",
            "Ben: \u200e<attached: a.wav>",
            "Ana: After a",
            "Ben: \u200e<attached: b.flac>",
            "Ana: After b",
        )
    )
)


def test_a_chat_export_has_other_turns_for_each_recording(notes, tmp_path):
    (tmp_path / "chat.txt").write_text(EXPORT)
    items = items_of(str(notes), tmp_path / "out", history=str(tmp_path / "chat.txt"))
    assert {item.history for item in items} == {tmp_path / "chat.txt"}


@pytest.mark.parametrize("place", ["-", "pipe"])
@pytest.mark.parametrize(
    ("chat", "turns"), [("Ana: Hi\nBen: Hello\n", 2), (EXPORT, None)], ids=["text", "export"]
)
def test_what_can_be_read_once_is(notes, tmp_path, monkeypatch, place, chat, turns):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(chat.encode())))
    reading, writing = os.pipe()
    os.write(writing, chat.encode())
    os.close(writing)
    history = place if place == "-" else f"/dev/fd/{reading}"
    try:
        if turns is None:  # each recording would need it again
            with pytest.raises(ConfigError, match="whatsapp that can be read only once, expected a file"):
                items_of(str(notes), tmp_path / "out", history=history)
        else:
            items = items_of(str(notes), tmp_path / "out", history=history)
            assert [len(item.history) for item in items] == [turns] * 4
    finally:
        os.close(reading)


def test_a_folder_that_cannot_be_read_is_one_line(notes, tmp_path, monkeypatch):
    def iterdir(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(InvalidAudioError, match="notes: cannot read: Permission denied"):
        items_of(str(notes), tmp_path / "out")


# ---- which model


def test_another_model_or_version_makes_results_anew(capsys, notes, tmp_path, loads, monkeypatch):
    out = tmp_path / "out"
    options = [notes, "-o", out, "--history", notes / "a.txt"]
    (notes / "d.ogg").unlink()
    for change in (None, ("DEFAULT_MODEL", "separator-2spk-16k"), ("__version__", "9.9")):
        if change is not None:
            monkeypatch.setattr(extract_batch, *change)
        loads.clear()
        assert run(capsys, *options)[0] == 0
        assert len(loads) == 1, change
        assert run(capsys, *options)[0] == 0
        assert len(loads) == 1, "done before"
    loads.clear()
    assert run(capsys, *options, "--model", "separator-2spk-16k")[0] == 0
    assert loads == [], "the default by its name has the same weights"


def test_every_option_of_the_model_but_where_it_runs_is_part_of_a_result(
    capsys, notes, tmp_path, loads, monkeypatch
):
    """What is done again with another option must not be taken for done."""
    parser = argparse.ArgumentParser()
    add_model_options(parser)
    options = {action.dest for action in parser._actions} - {"help", "device"}
    seen: dict[str, object] = {}
    monkeypatch.setattr(extract_batch, "run_batch", lambda _, work, __: seen.update(work._options) or [])
    run(capsys, notes, "-o", tmp_path / "out")
    assert options == {"model", "transcriber", "scorer", "voice_encoder", "precision", "quick"}
    assert options <= set(seen)


@pytest.mark.usefixtures("loads")
def test_quick_voices_are_made_anew_when_better_ones_are_asked_for(capsys, notes, tmp_path, loads):
    options = [notes, "-o", tmp_path / "out", "--history", notes / "a.txt"]
    (notes / "d.ogg").unlink()
    for quick in (["--quick"], []):
        loads.clear()
        assert run(capsys, *options, *quick)[0] == 0
        assert len(loads) == 1
