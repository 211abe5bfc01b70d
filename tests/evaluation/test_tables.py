"""Results side by side: numbers with their intervals, dashes where there is nothing to say."""

from __future__ import annotations

from cse.evaluation.evaluate import evaluate
from cse.evaluation.markup import RESULTS
from cse.evaluation.tables import RESULT_COLUMNS, markdown_table, results_table, written
from cse.manifest import Mixture


def test_a_table_of_real_results(mixtures: list[Mixture], fake) -> None:
    runs = [((name,), evaluate(fake(name), mixtures).to_dict()) for name in ("ideal", "hedging")]
    head, rule, ideal, hedging = results_table(["told"], runs).splitlines()
    assert {line.count("|") for line in (head, rule, ideal, hedging)} == {3 + len(RESULT_COLUMNS)}
    assert "| told | n | right voice |" in head
    assert "| ideal | 4 | 100.0 % (43.9 % … 100.0 %) | 20.0 dB (20.0 dB … 20.0 dB) |" in ideal


def test_null_is_a_dash_and_a_missing_interval_is_left_out() -> None:
    assert written({"ece": None, "ece_ci95": None}, "ece") == "–"
    assert written({"si_sdri_selected_db": 4.24}, "si_sdri_selected_db") == "4.2 dB", (
        "JSON of an earlier version"
    )
    assert written({}, "ece") == "–"


def test_columns_are_results() -> None:
    assert set(RESULT_COLUMNS.values()) <= set(RESULTS)


def test_cells_cannot_break_the_table() -> None:
    assert markdown_table(["a"], [["x | y"]]).splitlines()[-1] == "| x \\| y |"
