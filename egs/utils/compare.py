"""Evaluates models under the conditions that a YAML file lists, and writes one table of all results.

The conditions say which cues a model gets, how many turns, and which cues are the interferer's on purpose:

    conditions:
      history: {told: the history, cues: [history]}
      history-1-turn: {told: its last turn, cues: [history], turns: 1}
      history-swapped: {told: the interferer's history, cues: [history], swapped: [history]}
    models:
      cont_ext: [history, history-1-turn, history-swapped]

FOLDER/MODEL/CONDITION.json that are newer than FOLDER/MODEL/model are not made again (`cse evaluate` makes some).
Each model is loaded once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cse.errors import ConfigError, CseError
from cse.evaluation.evaluate import evaluate
from cse.evaluation.markup import quantity
from cse.evaluation.score_set import with_history
from cse.evaluation.swap import swap_cues
from cse.evaluation.tables import results_table
from cse.extractor import Extractor
from cse.files import write_text
from cse.manifest import Mixture, read_mixtures


@dataclass(frozen=True)
class Condition:
    """What a model is told: which cues, how many turns, and which cues are the interferer's."""

    told: str
    cues: frozenset[str]
    turns: int | None = None
    swapped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Comparison:
    """Conditions by name, and which of them each model is measured under."""

    conditions: dict[str, Condition]
    models: dict[str, list[str]]

    @classmethod
    def read(cls, path: Path) -> Comparison:
        """Read the YAML file."""
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        conditions = {
            name: Condition(
                told=one["told"],
                cues=frozenset(one["cues"]),
                turns=one.get("turns"),
                swapped=frozenset(one.get("swapped", ())),
            )
            for name, one in content["conditions"].items()
        }
        return cls(conditions, content["models"])


def measure(model: str, folder: Path, mixtures: Sequence[Mixture], comparison: Comparison) -> None:
    """Evaluate a model under each of its conditions, unless that was done since it was trained."""
    extractor: Extractor | None = None
    for name in comparison.models[model]:
        path, trained = folder / model / f"{name}.json", folder / model / "model" / "config.json"
        if path.is_file() and path.stat().st_mtime > trained.stat().st_mtime:
            continue
        extractor = extractor or Extractor.from_pretrained(folder / model / "model")
        condition = comparison.conditions[name]
        print(f"{model}: {condition.told}", file=sys.stderr)
        evaluate(
            extractor,
            swap_cues(mixtures, condition.swapped),
            cues=condition.cues,
            history_turns=condition.turns,
            progress=True,
        ).save_json(path)


def rows(
    folder: Path, models: Sequence[str], comparison: Comparison
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """What every model was told, and its result."""
    for model in models:
        for name in comparison.models[model]:
            result = json.loads((folder / model / f"{name}.json").read_text(encoding="utf-8"))
            yield [model, comparison.conditions[name].told], result


def by_turns(folder: Path, models: Sequence[str]) -> Iterator[str]:
    """How often the right voice came out, by the number of turns that the history had."""
    for model in models:
        groups = json.loads((folder / model / "history.json").read_text(encoding="utf-8"))["by_history_turns"]
        shares = (
            f"{turns} turns {quantity(group['selection_accuracy'], 'share')} (n = {group['n']})"
            for turns, group in groups.items()
        )
        yield f"- {model}: " + ", ".join(shares)


def table(folder: Path, models: Sequence[str], comparison: Comparison) -> str:
    """All results as Markdown."""
    results = results_table(["model", "is told"], rows(folder, models, comparison))
    return "\n".join([results, "", "Right voice by turns of history:", "", *by_turns(folder, models)]) + "\n"


def main() -> int:
    """Evaluate what is not evaluated yet; write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "folder", type=Path, help="folder with MODEL/model; results go to MODEL/CONDITION.json"
    )
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--manifest", type=Path, required=True, help="mixtures.jsonl")
    parser.add_argument("--conditions", type=Path, required=True, help="YAML file with conditions and models")
    parser.add_argument(
        "--min-history-turns", type=int, default=0, metavar="N", help="leave other mixtures out"
    )
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    args = parser.parse_args()
    try:
        comparison = Comparison.read(args.conditions)
        unknown = sorted(set(args.models) - set(comparison.models))
        if unknown:
            raise ConfigError(f"got model {unknown[0]!r}, expected some of {', '.join(comparison.models)}")
        mixtures = with_history(read_mixtures(args.manifest), args.min_history_turns)
        for model in args.models:
            measure(model, args.folder, mixtures, comparison)
    except CseError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return error.exit_code
    if args.table is not None:
        text = table(args.folder, args.models, comparison)
        write_text(args.table, text)
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
