"""What the tests of recipes share: running a preparation, and reading what it made."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cse.manifest import Utterance, read_utterances


@pytest.fixture(scope="session")
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """run(script, argument, …)"""
    return lambda script, *arguments: subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="session")
def prepare(run: Callable[..., Any]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """prepare(local, corpus, argument, …): the preparation in a folder `local`, to `out` beside the corpus."""
    return lambda local, corpus, *arguments: run(
        local / "prepare.py",
        "--corpus",
        corpus,
        "--output",
        _output(corpus),
        "--engine",
        "serial",
        *arguments,
    )


@pytest.fixture(scope="session")
def prepared(prepare: Callable[..., Any]) -> Callable[..., dict[str, Utterance]]:
    """The same, and the utterances by id."""

    def utterances(local: Path, corpus: Path, *arguments: str) -> dict[str, Utterance]:
        result = prepare(local, corpus, *arguments)
        assert result.returncode == 0, result.stderr
        return {utterance.id: utterance for utterance in read_utterances(_output(corpus))}

    return utterances


@pytest.fixture(scope="session")
def left_out() -> Callable[[Path], dict[str, Any]]:
    """left_out(corpus): the report about what was left out."""
    return lambda corpus: json.loads((_output(corpus).parent / "left_out.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def names_missing(run: Callable[..., Any]) -> Callable[[Path, Path, str], None]:
    """names_missing(local, corpus, part): both scripts in `local` say that this part is missing, and where it is."""

    def check(local: Path, corpus: Path, missing: str) -> None:
        (corpus / missing).rename(corpus / "elsewhere")
        for script, options in (("check.py", ()), ("prepare.py", ("--output", corpus / "utterances.jsonl"))):
            result = run(local / script, "--corpus", corpus, *options)
            assert result.returncode == 2
            assert str(corpus / missing) in result.stderr and "https://" in result.stderr
            assert len(result.stderr.splitlines()) == 1

    return check


def _output(corpus: Path) -> Path:
    return corpus.parent / "out" / "utterances.jsonl"
