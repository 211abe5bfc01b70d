"""Leaks between splits: each kind is found, and named by the utterances in question."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cse.corpora.leaks import check_leaks, find_leaks
from cse.errors import ManifestError
from cse.manifest import Utterance, read_utterances
from cse.testing.corpus import write_utterances


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    """Three splits of two dialogues each; the same four talkers may speak in all of them."""
    folder = tmp_path_factory.mktemp("clean")
    manifests = [
        write_utterances(folder / split, dialogues=2, turns=3, duration_s=0.2, split=split, seed=place)
        for place, split in enumerate(("train", "dev", "test"))
    ]
    return [utterance for manifest in manifests for utterance in read_utterances(manifest)]


def found(utterances: list[Utterance], disjoint: str = "dialogues") -> list[str]:
    return list(find_leaks(utterances, disjoint=disjoint))


def test_clean_splits_have_none(clean: list[Utterance]):
    check_leaks(clean, disjoint="dialogues")


def test_a_dialogue_in_two_splits(clean: list[Utterance]):
    moved = [replace(clean[0], split="test"), *clean[1:]]
    assert found(moved) == [
        "dialogue train000: is in test (train000-00), train (train000-01), expected one split"
    ]
    with pytest.raises(ManifestError, match="dialogue train000") as caught:
        check_leaks(moved, disjoint="dialogues")
    assert caught.value.exit_code == 2


def test_utterances_without_a_dialogue_are_no_leak(clean: list[Utterance]):
    assert found([replace(utterance, dialogue=None) for utterance in clean]) == []


def test_speakers_only_where_they_matter(clean: list[Utterance]):
    shared = {u.speaker for u in clean if u.split == "train"} & {
        u.speaker for u in clean if u.split == "test"
    }
    assert shared, "or this test says nothing"
    problems = found(clean, "speakers")
    assert {problem.split()[1] for problem in problems} >= {f"{speaker}:" for speaker in shared}
    assert all(problem.startswith("speaker ") for problem in problems)


@pytest.mark.parametrize("link", [shutil.copy, os.link, os.symlink])
def test_the_same_recording_under_another_name(
    clean: list[Utterance], tmp_path: Path, link: Callable[[Path, Path], None]
):
    other = tmp_path / "other.wav"
    link(clean[0].audio, other)
    copy = replace(clean[0], id="copy", audio=other, dialogue="elsewhere", split="test")
    problems = found([*clean, copy])
    assert len(problems) == 1
    assert "train (train000-00), test (copy)" in problems[0]


def test_no_split_is_a_problem(clean: list[Utterance]):
    assert found([*clean, replace(clean[0], split=None, dialogue=None)])[0].startswith(
        "split: 1 utterance(s)"
    )


def test_all_leaks_are_said_at_once(clean: list[Utterance]):
    everything = [replace(u, split="test") if u.id.endswith("-00") else u for u in clean]
    with pytest.raises(ManifestError, match="and 3 more leaks") as caught:
        check_leaks(everything, disjoint="dialogues")
    assert len(caught.value.problems) == 4, "of train and dev; those of test were there before"
