"""Puts the numbers of all evaluations of the mini recipe into one table (Markdown)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cse.evaluation.markup import interval, quantity
from cse.files import write_text

CONDITIONS = {
    "history": "the history",
    "history-1-turn": "its last turn",
    "history-swapped": "the interferer's history",
    "history-none": "nothing",
    "enrollment": "an enrollment",
    "both": "history and enrollment",
    "both-enrollment-swapped": "history, and the interferer's enrollment",
    "both-history-swapped": "enrollment, and the interferer's history",
}
MODELS = ("separator", "contsep", "cont_ext", "h_cont_ext")


def rows(output: Path) -> Iterator[list[str]]:
    """One row for every evaluation that was made."""
    for model in MODELS:
        for condition, told in CONDITIONS.items():
            path = output / model / f"{condition}.json"
            if path.is_file():
                yield [model, told, *numbers(json.loads(path.read_text(encoding="utf-8")))]


def numbers(result: dict[str, Any]) -> list[str]:
    """How many mixtures, how often the right voice came out, and how clear it was."""
    bounds = interval(result["selection_accuracy_ci95"], "share")
    return [
        str(result["n"]),
        f"{quantity(result['selection_accuracy'], 'share')} ({bounds})",
        quantity(result["si_sdri_db"], "db"),
        quantity(result["si_sdri_selected_db"], "db"),
        quantity(result["ece"], "share"),
    ]


def by_turns(output: Path) -> Iterator[str]:
    """How often the right voice came out, by the number of turns of history."""
    for model in MODELS:
        path = output / model / "history.json"
        if path.is_file():
            groups = json.loads(path.read_text(encoding="utf-8"))["by_history_turns"]
            shares = (
                f"{turns}: {quantity(group['selection_accuracy'], 'share')} (n = {group['n']})"
                for turns, group in groups.items()
            )
            yield f"- {model}: " + ", ".join(shares)


def main() -> int:
    """Write --output and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder with a folder of JSON files for each model")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    args = parser.parse_args()
    head = ["model", "is told", "n", "right voice", "SI-SDRi, all", "SI-SDRi when right", "ECE"]
    table = [head, ["---"] * len(head), *rows(args.results)]
    lines = ["| " + " | ".join(row) + " |" for row in table]
    text = "\n".join([*lines, "", "Right voice by turns of history:", "", *by_turns(args.results)]) + "\n"
    write_text(args.output, text)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
