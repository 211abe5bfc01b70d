"""How many talkers an extractor finds, and whether one who talks alone comes through untouched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from cse.evaluation.entries import mean_entry, share_entry
from cse.evaluation.items import ItemResult

UNTOUCHED_DB = 20.0


def talker_numbers(items: Sequence[ItemResult], *, seed: int) -> dict[str, Any]:
    """Numbers over items that did not fail.

    `talker_count_confusion` has, for each true number of talkers, how often each number was found. It is None, and the
    accuracy too, for an extractor that gives a single voice whatever it hears, since it counts nobody.
    """
    counted = [item for item in items if item.talkers_found is not None]
    counts = any(item.talkers_found != 1 for item in counted) or all(item.talkers == 1 for item in counted)
    counted = counted if counts else []
    alone = [item.input_si_sdr_db for item in items if item.input_si_sdr_db is not None]
    return {
        **share_entry(
            "talker_count_accuracy", sum(item.talkers_found == item.talkers for item in counted), len(counted)
        ),
        "talker_count_confusion": _confusion(counted) if counted else None,
        **mean_entry("single_talker_si_sdr_db", alone, seed=seed),
        **share_entry(
            "single_talker_untouched_rate", sum(value > UNTOUCHED_DB for value in alone), len(alone)
        ),
    }


def _confusion(items: Sequence[ItemResult]) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for (true, found), count in sorted(
        Counter((item.talkers, item.talkers_found or 0) for item in items).items()
    ):
        table.setdefault(str(true), {})[str(found)] = count
    return table
