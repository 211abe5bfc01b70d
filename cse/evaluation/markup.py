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
    "si_sdr_db": ("SI-SDR", "db", "of the estimate, unless the target is alone"),
    "si_sdri_db": ("SI-SDRi", "db", "how much better than the mixture; wrong voices pull it down"),
    "si_sdri_selected_db": ("SI-SDRi when right", "db", "over the right choices only"),
    "separation_si_sdri_db": ("SI-SDRi of the best candidate", "db", "what a perfect choice would reach"),
    "sdri_db": ("SDRi", "db", "BSS-Eval v3, forgives a filter of 512 taps"),
    "failure_rate": ("failures", "share", "SI-SDRi below 1 dB, or no result"),
    "hedging_rate": ("hedging", "share", "target and interferer within 3 dB of each other in the estimate"),
    "abstention_rate": ("abstained", "share", "the extractor was not sure enough to choose"),
    "error_surest_half": ("errors where surest", "share", "among the half with the highest probability"),
    "error_answered": ("errors when it did not abstain", "share", "of the voices that it was sure enough of"),
    "absent_detection_rate": (
        "absence noticed",
        "share",
        "of the items in which nobody continues the history",
    ),
    "false_absent_rate": ("absence claimed wrongly", "share", "of the items that have a target"),
    "absent_found_at_10_percent_false_alarms": (
        "absence found at 10 % false alarms",
        "share",
        "by the best threshold on the probability that nobody is meant",
    ),
    "absent_auroc": ("absence, area under ROC", "plain", "0.5 is a guess, 1 never errs"),
    "talker_count_accuracy": ("number of talkers right", "share", "found as many as there are"),
    "single_talker_si_sdr_db": (
        "one talker, SI-SDR",
        "db",
        "of the output against the recording of a talker who is alone; 100 dB is untouched",
    ),
    "single_talker_untouched_rate": ("one talker untouched", "share", "above 20 dB"),
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
    "processor_time_factor": ("processor time factor", "plain", "the same in processor seconds of all cores"),
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


def confusion_table(confusion: Mapping[str, Mapping[str, int]] | None) -> str:
    """How many talkers were found, by how many there are, under a heading; nothing for None.

    >>> text = confusion_table({"2": {"2": 3, "3": 1}})
    >>> [words in text for words in ("found 2", "found 3", "found 4")]
    [True, True, False]
    """
    if confusion is None:
        return ""
    found = sorted({number for counts in confusion.values() for number in counts}, key=int)
    head = "".join(f'<th class="number">found {number}</th>' for number in found)
    rows = "".join(
        f"<tr><td>{true}</td>"
        + "".join(f'<td class="number">{counts.get(number, 0)}</td>' for number in found)
        + "</tr>"
        for true, counts in confusion.items()
    )
    return (
        '<h2>Number of talkers</h2><div class="card scroll"><table class="narrow">'
        f"<thead><tr><th>there are</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def describe_settings(settings: Mapping[str, Any]) -> str:
    """What the run was made with, on one line; the command is not in it.

    >>> describe_settings({"cues": ["history"], "limit": None, "versions": {"python": "3.11"}, "command": "cse …"})
    'cues history · python 3.11'
    """
    parts = []
    for name, value in settings.items():
        if name == "command" or value is None or value is False or value == []:
            continue
        if isinstance(value, Mapping):
            words = " · ".join(f"{one} {version}" for one, version in value.items() if version is not None)
        else:
            words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            words = name.replace("_", " ") + ("" if value is True else f" {words}")
        parts.append(escape(words))
    return " · ".join(parts)


def command_line(settings: Mapping[str, Any]) -> str:
    """The command that made the run, to be typed again; nothing where it was not made by one."""
    command = settings.get("command")
    return f'<pre class="command">{escape(command)}</pre>' if command else ""
