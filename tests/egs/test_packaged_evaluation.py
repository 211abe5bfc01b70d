"""The evaluation sets of the packaged model, made of a made-up corpus, and the table of its results."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.cli import main
from cse.evaluation.evaluate import Evaluation
from cse.evaluation.items import ItemResult
from cse.manifest import Mixture, read_mixtures, read_utterances
from cse.testing.corpus import write_utterances


@pytest.fixture(scope="module")
def local(repository: Path) -> Path:
    return repository / "egs" / "packaged" / "local"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dialogues by the same two talkers, as the development part of DailyTalk."""
    folder = tmp_path_factory.mktemp("corpus")
    return write_utterances(folder, talkers=2, dialogues=2, turns=6, duration_s=3.4)


@pytest.fixture(scope="module")
def make(local: Path, run):
    """make(script, argument, …): runs it and returns what it printed."""

    def script(name: str, *arguments: str | Path) -> str:
        result = run(local / name, *map(str, arguments))
        assert result.returncode == 0, result.stderr
        return result.stdout

    return script


@pytest.fixture(scope="module")
def mixtures(make, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixtures")
    make("pairs.py", corpus, folder / "list.txt", "--limit", "6")
    assert main(["simulate", f"utterances={corpus}", f"list={folder / 'list.txt'}", f"output={folder}"]) == 0
    return folder / "mixtures.jsonl"


def listed(path: Path) -> list[tuple[str, str, float]]:
    lines = [line.split() for line in path.read_text().splitlines()]
    return [
        (target.removesuffix(".wav"), other.removesuffix(".wav"), float(snr)) for target, other, snr in lines
    ]


@pytest.mark.parametrize("within", [False, True])
def test_pairs_are_of_two_talkers_who_both_have_a_history(
    make, corpus: Path, tmp_path: Path, within: bool
) -> None:
    make("pairs.py", corpus, tmp_path / "list.txt", *["--within"] * within)
    utterances = {one.id: one for one in read_utterances(corpus)}
    pairs = listed(tmp_path / "list.txt")
    assert len(pairs) == len({pair[:2] for pair in pairs}) == 2 * 4 * 2, (
        "4 turns each, 2 of them by the other"
    )
    for target, other, snr_db in pairs:
        one, two = utterances[target], utterances[other]
        assert one.speaker != two.speaker and (one.dialogue == two.dialogue) is within
        assert min(len(one.history), len(two.history)) >= 2 and abs(snr_db) <= 5
    assert len({target for target, _, _ in pairs[:8]}) == 8, "every target once before any comes again"


def test_enrollments_are_cut_from_another_utterance_of_the_speaker(
    make, corpus: Path, mixtures: Path, tmp_path: Path
) -> None:
    make("variants.py", "enrolled", mixtures, tmp_path / "enrolled.jsonl", "--utterances", corpus)
    utterances = read_utterances(corpus)
    records = read_mixtures(tmp_path / "enrolled.jsonl")
    assert len(records) == 6
    for record in records:
        waveform, rate = soundfile.read(record.enrollment, dtype="float32")
        assert 3 * rate <= len(waveform) <= 5 * rate
        sources = [
            one for one in utterances if _contains(soundfile.read(one.audio, dtype="float32")[0], waveform)
        ]
        assert [one.speaker for one in sources] == [record.target_speaker]
        assert sources[0].id != record.extra["target_id"]


def _contains(source: np.ndarray, part: np.ndarray) -> bool:
    places = max(0, len(source) - len(part) + 1)
    starts = np.flatnonzero(np.abs(source[:places] - part[0]) < 1e-4)
    return any(np.abs(source[start : start + len(part)] - part).max() < 1e-3 for start in starts)


def test_alone_is_the_target_and_nothing_else(make, mixtures: Path, tmp_path: Path) -> None:
    make("variants.py", "alone", mixtures, tmp_path / "alone.jsonl")
    for record, before in zip(read_mixtures(tmp_path / "alone.jsonl"), read_mixtures(mixtures), strict=True):
        assert record.mixture == record.target == before.target
        assert record.interferers == record.snr_db == ()


def test_absent_keeps_the_recording_and_gives_it_the_history_of_another_dialogue(
    make, corpus: Path, mixtures: Path, tmp_path: Path
) -> None:
    absent, both = tmp_path / "absent.jsonl", tmp_path / "both.jsonl"
    make("variants.py", "absent", mixtures, absent, "--utterances", corpus)
    histories = {(one.dialogue, one.history) for one in read_utterances(corpus)}
    before = {one.mixture: one for one in read_mixtures(mixtures)}
    for record in read_mixtures(absent):
        original: Mixture = before[record.mixture]
        assert record.target is None and record.enrollment is None
        assert record.interferers == (original.target, *original.interferers)
        assert len(record.history) >= 2
        dialogues = {dialogue for dialogue, history in histories if history == record.history}
        assert dialogues == {record.extra["dialogue"]} and original.extra["dialogue"] not in dialogues
    make("variants.py", "joined", mixtures, absent, both)
    assert len(read_mixtures(both)) == 12


def test_a_strangers_voice_is_of_nobody_in_the_recording(
    make, mixtures: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    others = write_utterances(
        tmp_path_factory.mktemp("others"), talkers=3, dialogues=1, turns=6, duration_s=3.4
    )
    make("variants.py", "stranger-voice", mixtures, tmp_path / "wrong.jsonl", "--utterances", others)
    utterances = read_utterances(others)
    records = read_mixtures(tmp_path / "wrong.jsonl")
    assert records
    for record, before in zip(records, read_mixtures(mixtures), strict=True):
        assert record.target == before.target and record.history == before.history
        waveform, _ = soundfile.read(record.enrollment, dtype="float32")
        speakers = {
            one.speaker
            for one in utterances
            if _contains(soundfile.read(one.audio, dtype="float32")[0], waveform)
        }
        assert len(speakers) == 1
        assert not speakers & {record.target_speaker, *record.extra["interferer_speakers"]}


def test_a_strangers_chat_is_a_held_out_dialogue_of_as_many_turns(
    make, mixtures: Path, tmp_path: Path
) -> None:
    (tmp_path / "dialogues").mkdir()
    texts = [[f"turn {turn} of {number}" for turn in range(12)] for number in range(40)]
    with gzip.open(tmp_path / "dialogues" / "dailytalk.jsonl.gz", "wt", encoding="utf-8") as file:
        for number, turns in enumerate(texts):
            entry = {"id": str(number), "turns": [{"speaker": "0", "text": text} for text in turns]}
            file.write(json.dumps(entry) + "\n")
    make("variants.py", "stranger-chat", mixtures, tmp_path / "wrong.jsonl", "--data", tmp_path)
    for record, before in zip(read_mixtures(tmp_path / "wrong.jsonl"), read_mixtures(mixtures), strict=True):
        said = [turn.text for turn in record.history]
        assert len(said) == len(before.history) and said in [own[: len(said)] for own in texts]
        assert record.target == before.target and record.target_speaker == "0", "who would go on"


def test_wrong_use_is_a_line(local: Path, run, mixtures: Path, corpus: Path, tmp_path: Path) -> None:
    result = run(local / "variants.py", "absent", mixtures, tmp_path / "out.jsonl")
    assert result.returncode == 2 and "--utterances" in result.stderr
    result = run(local / "variants.py", "stranger-chat", mixtures, tmp_path / "out.jsonl")
    assert result.returncode == 2 and "--data" in result.stderr
    result = run(local / "pairs.py", corpus, tmp_path / "list.txt", "--min-history-turns", "9")
    assert (
        result.returncode == 1 and "--min-history-turns" in result.stderr and "Traceback" not in result.stderr
    )
    result = run(local / "table.py", tmp_path, "--sets", "made")
    assert result.returncode == 2 and "got no results" in result.stderr


def test_the_table_shows_what_was_measured_and_how(make, tmp_path: Path) -> None:
    for name, right in (("history", 3), ("both", 4)):
        items = [
            ItemResult(
                id=str(number), target_absent=False, talkers=2, history_turns=2, enrollment=False, duration_s=1.0,
                right=number < right, probability=0.9,
            )
            for number in range(4)
        ]  # fmt: skip
        settings = {"command": f"cse evaluate --manifest {tmp_path}/{name}.jsonl"}
        Evaluation(items=items, settings=settings, seed=0, peak_rss_mb=1.0).save_json(
            tmp_path / f"{name}.json"
        )
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.safetensors").write_bytes(bytes(3_000_000))
    sizes = ("--pretrained", tmp_path / "weights")
    make("table.py", tmp_path, "--sets", "evaluate.sh", *sizes, "--output", tmp_path / "results.md")
    table = (tmp_path / "results.md").read_text()
    assert (
        "| right voice by two previous turns, end to end | 75.0 % (30.1 % … 95.4 %) | 4 | 70 % | 90 % |"
        in table
    )
    assert "| size of all packaged models | 3.0 MB |" in table
    assert "| the last two turns | 4 | 75.0 %" in table and "| both | 4 | 100.0 %" in table
    assert "three talkers" not in table, "no run, no row"
    assert "```bash\nevaluate.sh  # the sets\n" in table
    assert "cse evaluate --manifest OUTPUT/history.jsonl\ncse evaluate --manifest OUTPUT/both.jsonl" in table


def test_rows_are_numbers_that_evaluations_have(local: Path) -> None:
    yaml = pytest.importorskip("yaml")
    from cse.evaluation.markup import RESULTS

    content = yaml.safe_load((local / "evaluation.yaml").read_text())
    script = (local / "evaluate.sh").read_text()
    for target in content["targets"]:
        assert target["key"] in RESULTS
    runs = {target["run"] for target in content["targets"]} | set(content["conditions"])
    assert all(f"\n    measured {run} " in script for run in runs), "evaluate.sh makes every run"
    numbers = json.loads(Evaluation(items=[], settings={}, seed=0, peak_rss_mb=1.0).to_json())
    assert all(target.get("n", "n") in numbers for target in content["targets"])
