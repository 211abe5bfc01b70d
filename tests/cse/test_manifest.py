"""Manifests: what is written comes back, and everything that is wrong is found in one pass."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cse.errors import CseError, ManifestError
from cse.history import Turn
from cse.manifest import Mixture, Utterance, read_mixtures, read_utterances, write_manifest

UTTERANCE: dict[str, Any] = {
    "id": "u1", "audio": "a.wav", "speaker": "Ana", "duration_s": 1.5, "sample_rate": 16000, "text": "hi",
    "dialogue": "d1", "history": [{"speaker": "Ben", "text": "hello"}], "split": "train",
}  # fmt: skip
MIXTURE: dict[str, Any] = {
    "id": "m1", "mixture": "a.wav", "target": "b.wav", "interferers": ["c.wav"], "noise": "a.wav",
    "sample_rate": 16000, "duration_s": 1.5, "history": [{"speaker": "Ben", "text": "hello"}],
    "target_speaker": "Ana", "target_text": "hi", "interferer_texts": ["hey", None], "enrollment": "c.wav",
    "snr_db": [1, -2.5], "rt60_s": 0.3, "seed": 7,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav", "c.wav"):
        (tmp_path / name).touch()
    return tmp_path


def lines(folder: Path, *records: Any, name: str = "m.jsonl") -> Path:
    path = folder / name
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


# ---- good ones


def test_utterance_is_read(folder: Path) -> None:
    (utterance,) = read_utterances(lines(folder, {**UTTERANCE, "corpus": "x"}))
    assert utterance == Utterance(
        id="u1", audio=folder / "a.wav", speaker="Ana", duration_s=1.5, sample_rate=16000, text="hi",
        dialogue="d1", history=(Turn("hello", "Ben"),), split="train", extra={"corpus": "x"},
    )  # fmt: skip
    assert utterance.audio.is_absolute()


def test_mixture_is_read(folder: Path) -> None:
    (mixture,) = read_mixtures(lines(folder, {**MIXTURE, "room": {"width_m": 4}}))
    assert mixture == Mixture(
        id="m1", mixture=folder / "a.wav", target=folder / "b.wav", sample_rate=16000, duration_s=1.5,
        interferers=(folder / "c.wav",), noise=folder / "a.wav", history=(Turn("hello", "Ben"),),
        target_speaker="Ana", target_text="hi", interferer_texts=("hey", None), enrollment=folder / "c.wav",
        snr_db=(1.0, -2.5), rt60_s=0.3, seed=7, extra={"room": {"width_m": 4}},
    )  # fmt: skip


def test_a_mixture_written_by_hand_needs_five_keys(folder: Path) -> None:
    short = {"id": "m", "mixture": "a.wav", "target": None, "sample_rate": 8000, "duration_s": 2}
    (mixture,) = read_mixtures(lines(folder, short))
    assert mixture == Mixture(id="m", mixture=folder / "a.wav", target=None, sample_rate=8000, duration_s=2.0)


def test_nulls_where_the_contract_has_them(folder: Path) -> None:
    nulls = dict.fromkeys(
        ["target", "noise", "target_speaker", "target_text", "enrollment", "rt60_s", "seed"]
    )
    (mixture,) = read_mixtures(lines(folder, {**MIXTURE, **nulls}))
    assert [getattr(mixture, key) for key in nulls] == [None] * len(nulls)


def test_byte_order_mark_blank_lines_and_unicode(folder: Path) -> None:
    (folder / "ü.wav").touch()
    path = folder / "m.jsonl"
    record = json.dumps({**UTTERANCE, "audio": "ü.wav"}, ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + record.encode() + b"\r\n\n  \n")
    assert read_utterances(path)[0].audio == folder / "ü.wav"


def test_paths_above_and_absolute_paths(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "lists").mkdir()
    path = lines(
        tmp_path / "lists",
        {**UTTERANCE, "audio": "../a.wav"},
        {**UTTERANCE, "id": "2", "audio": f"{folder}/b.wav"},
    )
    assert [u.audio for u in read_utterances(path)] == [folder / "a.wav", folder / "b.wav"]


def test_relative_manifest_path_gives_absolute_audio(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines(folder, UTTERANCE)
    monkeypatch.chdir(folder)
    assert read_utterances("m.jsonl")[0].audio == folder / "a.wav"


def test_split(folder: Path) -> None:
    dev = {**UTTERANCE, "id": "u2", "split": "dev", "audio": "not-copied-here.wav"}
    path = lines(folder, UTTERANCE, dev, {**UTTERANCE, "id": "u3"})
    assert [u.id for u in read_utterances(path, split="train")] == ["u1", "u3"]
    with pytest.raises(ManifestError, match=r"m\.jsonl:2:audio: no file"):
        read_utterances(path, split="dev")
    with pytest.raises(ManifestError, match="no record of split 'test'; expected one of: dev, train"):
        read_utterances(path, split="test")


# ---- bad ones


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"id": 5}, "id: got a number, expected a string"),
        ({"id": " "}, "id: got an empty string"),
        ({"mixture": None}, "mixture: got null, expected a string"),
        ({"mixture": "absent.wav"}, "mixture: no file "),
        ({"mixture": "."}, "is a folder, expected an audio file"),
        ({"mixture": "a\0.wav"}, "mixture: got a path with a zero character"),
        ({"mixture": "x" * 300}, "mixture: cannot read "),
        ({"target": ""}, "target: got an empty string"),
        ({"target": "absent.wav"}, "target: no file "),
        ({"interferers": "c.wav"}, "interferers: got a string, expected a list"),
        ({"interferers": ["c.wav", None]}, "interferers: got null, expected a string"),
        ({"interferers": ["c.wav", "absent.wav"]}, "interferers: no file "),
        ({"enrollment": ["c.wav"]}, "enrollment: got a list, expected a string"),
        ({"sample_rate": True}, "sample_rate: got true or false, expected an integer"),
        ({"sample_rate": 16000.0}, "sample_rate: got 16000.0, expected an integer"),
        ({"sample_rate": 0}, "sample_rate: got 0, expected a sample rate in Hz above 0"),
        ({"sample_rate": "16000"}, "sample_rate: got a string, expected an integer"),
        ({"duration_s": -1}, "duration_s: got -1, expected seconds above 0"),
        ({"duration_s": 0}, "duration_s: got 0, expected seconds above 0"),
        ({"duration_s": float("nan")}, "duration_s: got NaN, an infinite or a huge number"),
        ({"duration_s": float("inf")}, "duration_s: got NaN, an infinite or a huge number"),
        ({"duration_s": 10**400}, "duration_s: got NaN, an infinite or a huge number"),
        ({"duration_s": True}, "duration_s: got true or false, expected a number"),
        ({"rt60_s": -0.1}, "rt60_s: got -0.1, expected seconds, 0 or more, or null"),
        ({"snr_db": 3}, "snr_db: got a number, expected a list"),
        ({"snr_db": [float("nan")]}, "snr_db: got NaN"),
        ({"snr_db": [None]}, "snr_db: got null, expected a number"),
        ({"seed": 1.5}, "seed: got 1.5, expected an integer"),
        ({"seed": False}, "seed: got true or false, expected an integer"),
        ({"target_text": 5}, "target_text: got a number, expected a string or null"),
        ({"target_speaker": {}}, "target_speaker: got an object, expected a string"),
        ({"interferer_texts": [1]}, "interferer_texts: got a number, expected a string or null"),
        ({"history": "Ana: secret"}, "history: got a string, expected a list of"),
        ({"history": ["secret", {"speaker": "Ana"}]}, 'history: turn 2: got an object without "text"'),
    ],
)
def test_each_wrong_value_is_named_with_line_and_field(
    folder: Path, change: dict[str, Any], problem: str
) -> None:
    path = lines(folder, MIXTURE, {**MIXTURE, "id": "m2", **change})
    with pytest.raises(ManifestError) as caught:
        read_mixtures(path)
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(f"{path}:2:")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["id", "mixture", "target", "sample_rate", "duration_s"])
def test_required_keys_of_a_mixture(folder: Path, key: str) -> None:
    with pytest.raises(ManifestError, match=rf":1:{key}: missing"):
        read_mixtures(lines(folder, {k: v for k, v in MIXTURE.items() if k != key}))


@pytest.mark.parametrize("key", ["id", "audio", "speaker", "sample_rate", "duration_s"])
def test_required_keys_of_an_utterance(folder: Path, key: str) -> None:
    with pytest.raises(ManifestError, match=rf":1:{key}: missing"):
        read_utterances(lines(folder, {k: v for k, v in UTTERANCE.items() if k != key}))


@pytest.mark.parametrize(
    "key", sorted(set(MIXTURE) - {"id", "mixture", "target", "sample_rate", "duration_s"})
)
def test_optional_keys_of_a_mixture(folder: Path, key: str) -> None:
    (mixture,) = read_mixtures(lines(folder, {k: v for k, v in MIXTURE.items() if k != key}))
    assert not getattr(mixture, key)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"id": "x",', "broken JSON at column 12"),
        ("[1]", "got a list, expected one JSON object a line"),
        ("null", "got null, expected one JSON object a line"),
        pytest.param("[" * 100_000, "JSON that is nested too deeply", id="deep"),
    ],
)
def test_lines_that_are_no_object(folder: Path, line: str, problem: str) -> None:
    with pytest.raises(ManifestError, match=rf"m\.jsonl:2: {problem}"):
        read_mixtures(lines(folder, MIXTURE, line))


def test_bytes_that_are_no_text(folder: Path) -> None:
    path = lines(folder, UTTERANCE)
    path.write_bytes(path.read_bytes() + b'{"id": "\xff"}\n')
    with pytest.raises(ManifestError, match=r"m\.jsonl:2: got bytes that are no UTF-8 at column 9"):
        read_utterances(path)


def test_all_problems_are_found_in_one_pass(folder: Path) -> None:
    path = lines(
        folder,
        {**MIXTURE, "sample_rate": "x", "target": "absent.wav"},
        "{",
        {**MIXTURE, "duration_s": -1},
        {"id": "m4"},
    )
    with pytest.raises(ManifestError) as caught:
        read_mixtures(path)
    assert [problem.removeprefix(f"{path}:").split(" ")[0] for problem in caught.value.problems] == [
        "1:sample_rate:", "1:target:", "2:", "3:duration_s:", "3:id:",
        "4:mixture:", "4:target:", "4:sample_rate:", "4:duration_s:",
    ]  # fmt: skip
    assert str(caught.value) == f"{caught.value.problems[0]} (and 8 more problems)"


def test_duplicate_ids_name_the_first_line(folder: Path) -> None:
    with pytest.raises(ManifestError, match=r":3:id: got u1 a second time \(first in line 1\)"):
        read_utterances(lines(folder, UTTERANCE, {**UTTERANCE, "id": "u2"}, UTTERANCE))


@pytest.mark.parametrize(
    ("name", "message"), [("absent.jsonl", "no such file"), ("", "is a folder"), ("x" * 300, "cannot read")]
)
def test_no_manifest(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_mixtures(f"{tmp_path}/{name}")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty_manifest(tmp_path: Path, content: str) -> None:
    (tmp_path / "m.jsonl").write_text(content)
    with pytest.raises(ManifestError, match="no records; expected one JSON object a line"):
        read_utterances(tmp_path / "m.jsonl")


def test_each_file_is_looked_for_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    stat = os.stat

    def counting(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        looked.append(os.fspath(path))
        return stat(path, *args, **kwargs)

    path = lines(folder, *({**MIXTURE, "id": f"m{i}"} for i in range(50)))
    monkeypatch.setattr(os, "stat", counting)
    read_mixtures(path)
    assert sorted(p for p in looked if p.endswith(".wav")) == [str(folder / f"{name}.wav") for name in "abc"]


EVERY_KIND_OF_MISTAKE = {
    "audio": ["absent.wav", ".", None, 3, ""],
    "duration_s": [-1, 0, float("nan"), float("inf"), "1.5", None, True],
    "sample_rate": [0, -8000, 16000.0, "16000", None],
    "id": [None, 7, " "],
    "speaker": [None, 7, ""],
    "text": [7, []],
    "dialogue": [7, ""],
    "split": [{}, " "],
    "history": ["Ben: hello", [{"speaker": "Ben"}], [[]]],
}


def test_all_mistakes_of_a_corpus_are_found_in_one_pass(folder: Path) -> None:
    """One line a mistake, with good ones and broken JSON between; each is told with its line and its field."""
    wrong = [(key, value) for key, values in EVERY_KIND_OF_MISTAKE.items() for value in values]
    records: list[Any] = [UTTERANCE, "{broken"]
    for number, (key, value) in enumerate(wrong):
        records += [{**UTTERANCE, "id": f"w{number}", key: value}, {**UTTERANCE, "id": f"g{number}"}]
    path = lines(folder, *records)
    with pytest.raises(ManifestError) as caught:
        read_utterances(path)
    expected = [f"{path}:2: broken JSON"]
    expected += [f"{path}:{3 + 2 * number}:{key}: " for number, (key, _) in enumerate(wrong)]
    problems = caught.value.problems
    assert len(problems) == len(expected)
    assert all(got.startswith(said) for got, said in zip(problems, expected, strict=True))
    assert str(caught.value).endswith(f"(and {len(wrong)} more problems)")


@pytest.mark.parametrize(
    ("slip", "key"),
    [("spekaer", "speaker"), ("histroy", "history"), ("dialog", "dialogue"), ("splits", "split")],
)
def test_a_slip_of_a_key_is_named(folder: Path, slip: str, key: str) -> None:
    wrong = {slip if name == key else name: value for name, value in UTTERANCE.items()}
    wrong.setdefault(slip, None)
    wrong.pop(key, None)
    with pytest.raises(
        ManifestError, match=f":2:{slip}: unknown key, and {key} is missing; is it {key}?"
    ) as caught:
        read_utterances(lines(folder, {**UTTERANCE, "id": "good"}, wrong))
    assert len(caught.value.problems) == (2 if key == "speaker" else 1)


def test_other_keys_are_no_slips(folder: Path) -> None:
    others = {
        "dialogue_id": 1,
        "speaker_id": 2,
        "gender": "f",
        "texts": [],
        "text": "hello",
        "dialog": 1,
        "dialogue": "d",
    }
    (read,) = read_utterances(lines(folder, {**UTTERANCE, **others}))
    assert set(others) - set(read.extra) == {"text", "dialogue"}


# ---- histories


def test_equal_turns_are_one_object_and_different_ones_are_not(folder: Path) -> None:
    said = [{"speaker": "Ben", "text": "hello"}, {"speaker": "Ana", "text": "hello"}, {"text": "hello"}]
    path = lines(
        folder,
        *({**UTTERANCE, "id": f"u{length}", "history": said[:length]} for length in range(4)),
        {**UTTERANCE, "id": "timed", "history": [{**said[0], "time": "1"}]},
    )
    one, two, three, timed = (utterance.history for utterance in read_utterances(path)[1:])
    assert two[0] is one[0] and three[:2] == two and all(a is b for a, b in zip(three, two, strict=False))
    assert three == (Turn("hello", "Ben"), Turn("hello", "Ana"), Turn("hello"))
    assert timed == (Turn("hello", "Ben", "1"),)


def test_histories_are_checked_as_without_sharing(folder: Path) -> None:
    chat = [
        {"role": "system", "content": "secret"},
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
    ]
    silent = [{"speaker": "Ben", "text": "  "}, {"speaker": 1, "text": "hey"}, "hello"]
    path = lines(
        folder,
        {**UTTERANCE, "history": chat + silent},
        {**UTTERANCE, "id": "again", "history": silent + chat},
        {**UTTERANCE, "id": "none", "history": None},
    )
    turns = (Turn("a b", "user"), Turn("hey", "1"), Turn("hello"))
    assert [utterance.history for utterance in read_utterances(path)] == [turns, (*turns[1:], turns[0]), ()]
    number, no_name = {"speaker": 1, "text": "hey"}, {"speaker": True, "text": "hey"}
    path = lines(
        folder, {**UTTERANCE, "history": [number]}, {**UTTERANCE, "id": "2", "history": [number, no_name]}
    )
    with pytest.raises(ManifestError, match=r':2:history: turn 2: "speaker" is bool'):
        read_utterances(path)


# ---- writing


@pytest.mark.parametrize(("record", "read"), [(UTTERANCE, read_utterances), (MIXTURE, read_mixtures)])
def test_round_trip_keeps_everything(folder: Path, record: dict[str, Any], read: Any) -> None:
    records = read(
        lines(
            folder,
            {
                **record,
                "extra key": [1, {"ü": None}],
                "history": [{"speaker": None, "text": "a", "time": "1"}],
            },
        )
    )
    write_manifest(folder / "copy.jsonl", records)
    assert read(folder / "copy.jsonl") == records
    line = json.loads((folder / "copy.jsonl").read_text())
    assert line["history"] == [{"speaker": None, "text": "a", "time": "1"}]
    assert {**line, "history": record["history"]} == {**record, "extra key": [1, {"ü": None}]}


def test_written_paths_are_relative_and_move_with_the_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "lists").mkdir(parents=True)
    (data / "audio").mkdir()
    (data / "audio" / "a.wav").touch()
    mixture = Mixture("m", data / "audio" / "a.wav", None, 16000, 1.0)
    write_manifest(data / "lists" / "m.jsonl", [mixture])
    assert json.loads((data / "lists" / "m.jsonl").read_text())["mixture"] == "../audio/a.wav"
    shutil.move(data, tmp_path / "moved")
    (read,) = read_mixtures(tmp_path / "moved" / "lists" / "m.jsonl")
    assert read.mixture == tmp_path / "moved" / "audio" / "a.wav"


def test_relative_paths_in_records_are_those_of_the_working_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "lists").mkdir()
    monkeypatch.chdir(folder)
    write_manifest("lists/m.jsonl", [Mixture("m", Path("a.wav"), None, 16000, 1.0)])
    assert read_mixtures("lists/m.jsonl")[0].mixture == folder / "a.wav"


def test_links_to_folders_stay_relative(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.wav").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_manifest(
        tmp_path / "link" / "m.jsonl", [Mixture("m", tmp_path / "link" / "a.wav", None, 16000, 1.0)]
    )
    assert json.loads((tmp_path / "real" / "m.jsonl").read_text())["mixture"] == "a.wav"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (
            [Mixture("m", Path("a"), None, 16000, 1.0), Mixture("m", Path("b"), None, 16000, 1.0)],
            "m.jsonl:2:id: a second",
        ),
        ([Mixture("m", Path("a"), None, 16000, float("nan"))], "m.jsonl:1: cannot write m: "),
        (
            [Mixture("m", Path("a"), None, 16000, 1.0, extra={"x": np.float32(1)})],
            "m.jsonl:1: cannot write m: .*float32",
        ),
    ],
)
def test_records_that_cannot_be_written_leave_the_old_manifest(
    tmp_path: Path, records: list[Mixture], message: str
) -> None:
    (tmp_path / "m.jsonl").write_text("old")
    with pytest.raises(ManifestError, match=message):
        write_manifest(tmp_path / "m.jsonl", records)
    assert (tmp_path / "m.jsonl").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_writing_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CseError, match="does not exist"):
        write_manifest(tmp_path / "absent" / "m.jsonl", [])


def test_records_are_written_as_they_come(folder: Path) -> None:
    write_manifest(
        folder / "m.jsonl", (Mixture(f"m{i}", folder / "a.wav", None, 16000, 1.0) for i in range(3))
    )
    assert [mixture.id for mixture in read_mixtures(folder / "m.jsonl")] == ["m0", "m1", "m2"]


def test_development_data_is_in_order(development_data: Path) -> None:
    utterances = read_utterances(development_data / "speech" / "utterances.jsonl")
    assert len(utterances) > 1000
    assert {utterance.split for utterance in utterances} == {"train", "dev"}
