"""Evaluates the models of the mini recipe under wrong, missing and other cues, and writes one table of all results.

`cse evaluate` has left OUTPUT/MODEL/history.json for each model: the history alone, all of it. The other conditions
are evaluated here, with each model loaded once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cse.errors import CseError
from cse.evaluation.evaluate import evaluate
from cse.evaluation.markup import interval, quantity
from cse.evaluation.swap import swap_cues
from cse.extractor import Extractor
from cse.files import write_text
from cse.manifest import Mixture, read_mixtures

HISTORY, ENROLLMENT = frozenset({"history"}), frozenset({"enrollment"})


@dataclass(frozen=True)
class Condition:
    """What a model is told: which cues, how many turns, and which cues are the interferer's."""

    told: str
    cues: frozenset[str]
    turns: int | None = None
    swapped: frozenset[str] = frozenset()


CONDITIONS = {
    "history": Condition("the history", HISTORY),
    "history-1-turn": Condition("its last turn", HISTORY, turns=1),
    "history-2-turns": Condition("its last two turns", HISTORY, turns=2),
    "history-swapped": Condition("the interferer's history", HISTORY, swapped=HISTORY),
    "history-none": Condition("nothing", HISTORY, turns=0),
    "enrollment": Condition("an enrollment", ENROLLMENT),
    "both": Condition("history and enrollment", HISTORY | ENROLLMENT),
    "enrollment-swapped": Condition(
        "history, the interferer's enrollment", HISTORY | ENROLLMENT, swapped=ENROLLMENT
    ),
    "both-history-swapped": Condition(
        "enrollment, the interferer's history", HISTORY | ENROLLMENT, swapped=HISTORY
    ),
}
# the cascade transcribes, which takes too long for all conditions
MODELS = {
    "separator": ["history", "enrollment"],
    "contsep": [name for name, condition in CONDITIONS.items() if condition.cues == HISTORY],
    "cont_ext": [name for name, condition in CONDITIONS.items() if condition.cues == HISTORY],
    "h_cont_ext": list(CONDITIONS),
}


def measure(model: str, output: Path, mixtures: Sequence[Mixture]) -> None:
    """Evaluate a model under each of its conditions, unless that was done since it was trained."""
    extractor: Extractor | None = None
    for name in MODELS[model]:
        path, trained = output / model / f"{name}.json", output / model / "model" / "config.json"
        if path.is_file() and path.stat().st_mtime > trained.stat().st_mtime:
            continue
        extractor = extractor or Extractor.from_pretrained(output / model / "model")
        condition = CONDITIONS[name]
        print(f"{model}: {condition.told}", file=sys.stderr)
        evaluate(
            extractor,
            swap_cues(mixtures, condition.swapped),
            cues=condition.cues,
            history_turns=condition.turns,
            progress=True,
        ).save_json(path)


def rows(output: Path, models: Sequence[str]) -> Iterator[list[str]]:
    """One row for every model and condition."""
    for model in models:
        for name in MODELS[model]:
            result = json.loads((output / model / f"{name}.json").read_text(encoding="utf-8"))
            yield [model, CONDITIONS[name].told, *numbers(result)]


def numbers(result: dict[str, Any]) -> list[str]:
    """How many mixtures, how often the right voice came out, and how clear it was."""
    bounds = interval(result["selection_accuracy_ci95"], "share")
    return [
        str(result["n"]),
        f"{quantity(result['selection_accuracy'], 'share')} ({bounds})",
        quantity(result["si_sdri_db"], "db"),
        quantity(result["si_sdri_selected_db"], "db"),
        quantity(result["ece"], "share"),
        quantity(result["real_time_factor"], "plain"),
    ]


def by_turns(output: Path, models: Sequence[str]) -> Iterator[str]:
    """How often the right voice came out, by the number of turns that the history had."""
    for model in models:
        groups = json.loads((output / model / "history.json").read_text(encoding="utf-8"))["by_history_turns"]
        shares = (
            f"{turns} turns {quantity(group['selection_accuracy'], 'share')} (n = {group['n']})"
            for turns, group in groups.items()
        )
        yield f"- {model}: " + ", ".join(shares)


def table(output: Path, models: Sequence[str]) -> str:
    """All results as Markdown."""
    head = [
        "model",
        "is told",
        "n",
        "right voice",
        "SI-SDRi, all",
        "SI-SDRi when right",
        "ECE",
        "real-time factor",
    ]
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows(output, models)]]
    return "\n".join([*lines, "", "Right voice by turns of history:", "", *by_turns(output, models)]) + "\n"


def main() -> int:
    """Evaluate what is not evaluated yet; write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="folder of the recipe: test/mixtures.jsonl, MODEL/model")
    parser.add_argument("models", nargs="+", choices=MODELS, metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    args = parser.parse_args()
    try:
        mixtures = read_mixtures(args.output / "test" / "mixtures.jsonl")
        for model in args.models:
            measure(model, args.output, mixtures)
    except CseError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return error.exit_code
    if args.table is not None:
        text = table(args.output, args.models)
        write_text(args.table, text)
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
