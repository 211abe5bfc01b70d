"""`--min-history-turns`: which mixtures are scored, whatever the model is told of their histories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cse.cli import main
from cse.errors import ConfigError
from cse.evaluation.score_set import with_history
from cse.extractor import Extractor
from cse.manifest import Mixture


def test_mixtures_with_enough_turns_are_kept_in_order(mixtures: list[Mixture]):
    assert [len(mixture.history) for mixture in mixtures] == [3, 0, 1, 1]
    assert with_history(mixtures, 0) == mixtures
    assert [mixture.id for mixture in with_history(mixtures, 1)] == ["a", "c", "d"]
    assert [mixture.id for mixture in with_history(mixtures, 3)] == ["a"]


def test_none_left_is_an_error(mixtures: list[Mixture]):
    with pytest.raises(ConfigError, match="none of 4 mixtures has 4 turns of history, the most are 3"):
        with_history(mixtures, 4)


def test_it_is_about_the_mixture_not_about_what_the_model_is_told(
    manifest_path: Path, fake, monkeypatch: pytest.MonkeyPatch, capsys
):
    extractor = fake("ideal")
    monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(lambda *_, **__: extractor))
    arguments = ["--min-history-turns", "1", "--history-turns", "0", "--limit", "2", "--json", "-"]
    assert main(["evaluate", "--manifest", str(manifest_path), *arguments]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert [item["id"] for item in numbers["per_item"]] == ["a", "c"], "the limit counts what is scored"
    assert [history for _, history, _ in extractor.calls] == [[], []]
    assert numbers["settings"]["min_history_turns"] == 1
