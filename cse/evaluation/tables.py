"""Results of several runs side by side, as Markdown for READMEs and model cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cse.evaluation.markup import RESULTS, interval, quantity

RESULT_COLUMNS = {
    "right voice": "selection_accuracy",
    "SI-SDRi, all": "si_sdri_db",
    "SI-SDRi when right": "si_sdri_selected_db",
    "ECE": "ece",
    "errors where surest": "error_surest_half",
    "abstained": "abstention_rate",
    "real-time factor": "real_time_factor",
}
"""Columns about a run, by their heads, and the keys of its JSON that they show."""


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells under a head; a `|` in a cell does not end it.

    >>> print(markdown_table(["n", "right"], [["5", "80.0 %"]]))
    | n | right |
    | --- | --- |
    | 5 | 80.0 % |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def written(result: Mapping[str, Any], key: str) -> str:
    """A number of the JSON of `cse evaluate`, and its 95 % interval where there is one; a dash for null.

    >>> written({"n": 9, "selection_accuracy": 0.75, "selection_accuracy_ci95": [0.5, 0.9]}, "selection_accuracy")
    '75.0 % (50.0 % … 90.0 %)'
    """
    kind = RESULTS[key][1]
    bounds = interval(result.get(f"{key}_ci95"), kind)
    return quantity(result.get(key), kind) + (f" ({bounds})" if bounds else "")


def results_table(titles: Sequence[str], rows: Iterable[tuple[Sequence[str], Mapping[str, Any]]]) -> str:
    """A row for each run: cells that say what it was, under `titles`, then its number of items and `RESULT_COLUMNS`."""
    head = [*titles, "n", *RESULT_COLUMNS]
    body = (
        [*cells, str(result["n"]), *(written(result, key) for key in RESULT_COLUMNS.values())]
        for cells, result in rows
    )
    return markdown_table(head, body)
