"""Small pieces of the report: cells, badges, rows. Whatever goes in comes out escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cse.evaluation.items import ItemResult

# key of the JSON -> name, kind, what it says
RESULTS: dict[str, tuple[str, str, str]] = {
    "selection_accuracy": (
        "right voice",
        "share",
        "the estimate is nearer to the target than to every interferer",
    ),
    "si_sdr_db": ("SI-SDR", "db", "of the estimate, over all items with a target"),
    "si_sdri_db": ("SI-SDRi", "db", "how much better than the mixture; wrong voices pull it down"),
    "si_sdri_selected_db": ("SI-SDRi when right", "db", "over the right choices only"),
    "separation_si_sdri_db": ("SI-SDRi of the best candidate", "db", "what a perfect choice would reach"),
    "sdri_db": ("SDRi", "db", "BSS-Eval v3, forgives a filter of 512 taps"),
    "failure_rate": ("failures", "share", "SI-SDRi below 1 dB, or no result"),
    "hedging_rate": ("hedging", "share", "target and interferer within 3 dB of each other in the estimate"),
    "abstention_rate": ("abstained", "share", "the extractor was not sure enough to choose"),
    "absent_detection_rate": (
        "absence noticed",
        "share",
        "of the items in which nobody continues the history",
    ),
    "false_absent_rate": ("absence claimed wrongly", "share", "of the items that have a target"),
    "ece": ("calibration error", "share", "mean gap between stated probability and what came true"),
    "risk_coverage_area": (
        "area under risk–coverage",
        "share",
        "0 when errors always come with the lowest probability",
    ),
    "pesq": ("PESQ", "plain", "predicted quality, 1 to 4.6"),
    "stoi": ("STOI", "plain", "predicted intelligibility, 0 to 1"),
    "wer": ("word error rate", "share", "of the transcript of the estimate"),
    "real_time_factor": ("real-time factor", "plain", "seconds of processing for one second of audio"),
    "peak_rss_mb": ("peak memory", "mb", "of the process"),
}


def percent(value: float | None) -> str:
    """A share as a percentage, a dash for None.

    >>> percent(0.915), percent(None)
    ('91.5 %', '–')
    """
    return "–" if value is None else f"{100 * value:.1f} %"


def decibels(value: float | None) -> str:
    """A level or a gain in dB, a dash for None."""
    return "–" if value is None else f"{value:.1f} dB"


def quantity(value: float | None, kind: str) -> str:
    """A number as its kind ("share", "db", "mb", "plain") is written."""
    if value is None:
        return "–"
    return {"share": percent(value), "db": decibels(value), "mb": f"{value:.0f} MB"}.get(kind, f"{value:.2f}")


def interval(bounds: Sequence[float] | None, kind: str) -> str:
    """Two bounds as "low … high", empty for None.

    >>> interval([0.5, 0.75], "share")
    '50.0 % … 75.0 %'
    """
    return "" if bounds is None else f"{quantity(bounds[0], kind)} … {quantity(bounds[1], kind)}"


def cell(value: float | None, form: str) -> str:
    """A number as a table cell that sorts by its full value; an empty cell for None.

    >>> cell(1.25, ".1f"), cell(None, ".1f")
    ('<td class="number" data-value="1.25">1.2</td>', '<td class="number" data-value=""></td>')
    """
    if value is None:
        return '<td class="number" data-value=""></td>'
    return f'<td class="number" data-value="{value!r}">{value:{form}}</td>'


def badge(row: ItemResult) -> str:
    """How an item ended, in one or two coloured words."""
    if row.error is not None:
        kind, words = "bad", "failed"
    elif row.target_absent:
        kind, words = ("good", "absence noticed") if row.right else ("bad", "absence missed")
    else:
        kind, words = ("good", "right") if row.right else ("bad", "wrong")
        if row.target_present is False:
            kind, words = "note", f"{words}, called absent"
    return f'<span class="{kind}">{words}</span>'


def definition(term: str, text: str | None) -> str:
    """A term and its text for a `dl`; nothing for None."""
    return "" if text is None else f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>"


def result_rows(numbers: Mapping[str, Any]) -> str:
    """The rows of the table of results: how many items, then every number that there is."""
    counts = ", ".join(
        f"{numbers[key]} {words}"
        for key, words in (("n_absent", "without the target"), ("n_failed", "failed"))
        if numbers[key]
    )
    rows = [
        f'<tr><td>items</td><td class="number">{numbers["n"]}</td><td></td>'
        f'<td class="faint">{counts}</td></tr>'
    ]
    for key, (name, kind, meaning) in RESULTS.items():
        if numbers.get(key) is not None:
            rows.append(
                f'<tr><td>{name}</td><td class="number">{quantity(numbers[key], kind)}</td>'
                f'<td class="number">{interval(numbers.get(f"{key}_ci95"), kind)}</td>'
                f'<td class="faint">{meaning}</td></tr>'
            )
    return "\n".join(rows)


def group_rows(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """The rows of the table by turns of history."""
    return "\n".join(
        f'<tr><td>{escape(label)}</td><td class="number">{group["n"]}</td>'
        f'<td class="number">{percent(group["selection_accuracy"])}</td>'
        f'<td class="number">{interval(group["selection_accuracy_ci95"], "share")}</td>'
        f'<td class="number">{decibels(group["si_sdri_db"])}</td>'
        f'<td class="number">{decibels(group["si_sdri_selected_db"])}</td></tr>'
        for label, group in groups.items()
    )


def describe_settings(settings: Mapping[str, Any]) -> str:
    """What the run was made with, on one line."""
    parts = []
    for name, value in settings.items():
        if value is None or value == []:
            continue
        words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        parts.append(f"{escape(name.replace('_', ' '))} {escape(words)}")
    return " · ".join(parts)
