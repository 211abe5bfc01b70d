"""A folder one opens in a browser: results, plots, and a few items to look at and to listen to.

The page needs nothing from a network. All that stands in it passes through `escape`: ids, names and what
people wrote in a history are not ours.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from cse.audio import write_audio
from cse.errors import ConfigError
from cse.evaluation import plots
from cse.evaluation.confidence import absence_scores, calibration_pairs
from cse.evaluation.detection import roc_curve
from cse.evaluation.evaluate import Evaluation
from cse.evaluation.example_markup import explanation
from cse.evaluation.examples import Example
from cse.evaluation.items import ItemResult
from cse.evaluation.markup import (
    badge,
    cell,
    command_line,
    confusion_table,
    decibels,
    describe_settings,
    group_rows,
    percent,
    result_rows,
)
from cse.evaluation.statistics import reliability_bins, risk_coverage
from cse.evaluation.summary import by_history_turns
from cse.files import write_text

PAGE = "index.html"
FILES = "report_files"
MARK = '<meta name="generator" content="cse evaluate">'
MAX_ROWS = 2000
THEMES = (("", plots.LIGHT), ("_dark", plots.DARK))
ITEM_COLUMNS = {
    "item": "", "outcome": "", "talkers": "number", "turns": "number", "probability": "number",
    "SI-SDR": "number", "SI-SDRi": "number", "SDRi": "number", "best candidate": "number",
    "PESQ": "number", "STOI": "number", "WER": "number", "seconds": "number",
}  # fmt: skip


def check_report_folder(folder: str | os.PathLike[str]) -> None:
    """Make sure that a report may be written there: no page of another origin is; raises ConfigError."""
    try:
        _check_folder(Path(folder))
    except OSError as error:
        raise ConfigError(f"report {folder}: cannot read: {error.strerror}; name another folder") from error


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"report {folder}: got a file, expected a folder; name another one")
    page = folder / PAGE
    if page.exists():
        ours = page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace")[:2000]
    else:
        ours = not (folder / FILES).exists()
    if not ours:
        raise ConfigError(
            f"report {folder}: got a folder with an {PAGE} or {FILES} of another origin; name another one"
        )
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ConfigError(f"report {folder}: cannot write in {existing}; name another folder")


def write_report(
    folder: str | os.PathLike[str], evaluation: Evaluation, *, title: str = "Evaluation"
) -> Path:
    """Write `index.html` and the pictures and sounds beside it; returns the page.

    The page is written last, in one go; an earlier report stays whole until then. Needs matplotlib.

    Raises:
        ConfigError: `check_report_folder`.
        MissingExtraError: matplotlib is not installed.
    """
    check_report_folder(folder)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = evaluation.to_dict()
    with _files_beside(folder) as files:
        values = {
            "title": escape(title),
            "settings": describe_settings(evaluation.settings),
            "command": command_line(evaluation.settings),
            "results": result_rows(numbers),
            "plots": _plots(files, evaluation),
            "talkers": confusion_table(numbers["talker_count_confusion"]),
            "groups": group_rows(
                by_history_turns(item for item in evaluation.items if not item.target_absent)
            ),
            "examples": "\n".join(
                _example(files, number, example)
                for number, example in enumerate(evaluation.examples, start=1)
            ),
            "examples_note": (
                "The most confident wrong ones, and the worst and the best of the right ones, in turn."
                if evaluation.examples
                else "No audio was kept."
            ),
            "items_note": _items_note(len(evaluation.items)),
            "item_head": "".join(
                f'<th class="{kind}"><button>{name}</button></th>' for name, kind in ITEM_COLUMNS.items()
            ),
            "items": "\n".join(_item_row(item) for item in evaluation.items[:MAX_ROWS]),
        }
    template = resources.files("cse.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    write_text(folder / PAGE, Template(template).substitute(values))
    return folder / PAGE


@contextmanager
def _files_beside(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `report_files` once all is in it."""
    beside = Path(tempfile.mkdtemp(prefix=".cse-report-", dir=folder))
    try:
        (beside / "new").mkdir()
        yield beside / "new"
        with suppress(FileNotFoundError):
            os.replace(folder / FILES, beside / "old")
        os.replace(beside / "new", folder / FILES)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        with suppress(OSError):
            folder.rmdir()  # goes only if the failure left it empty


def _plots(files: Path, evaluation: Evaluation) -> str:
    probabilities, right = calibration_pairs(item for item in evaluation.items if item.error is None)
    present = [item for item in evaluation.items if not item.target_absent]
    absent = [item for item in evaluation.items if item.target_absent]
    figures = []
    if present:
        chance = float(np.mean([1 / item.talkers for item in present]))
        for suffix, theme in THEMES:
            plots.save_accuracy_by_turns(
                files / f"turns{suffix}.png", by_history_turns(present), chance=chance, theme=theme
            )
        figures.append(
            _themed("turns", "Right voice, by turns of history", "accuracy for each number of turns")
        )
    if probabilities:
        curve, bins = risk_coverage(probabilities, right), reliability_bins(probabilities, right)
        for suffix, theme in THEMES:
            plots.save_risk_coverage(files / f"risk{suffix}.png", curve, theme=theme)
            plots.save_reliability(files / f"reliability{suffix}.png", bins, theme=theme)
        figures.append(_themed("risk", "Risk when answering only if sure", "risk against coverage"))
        figures.append(_themed("reliability", "Is the stated probability honest?", "reliability diagram"))
    alone, beside = absence_scores(absent), absence_scores(present)
    if len(alone) and len(beside):
        for suffix, theme in THEMES:
            plots.save_roc(files / f"absence{suffix}.png", *roc_curve(alone, beside), theme=theme)
        figures.append(
            _themed("absence", "Is it noticed that nobody is meant?", "found against false alarms")
        )
    return "\n".join(figures)


def _themed(name: str, caption: str, alt: str) -> str:
    return f'<figure class="card"><figcaption>{caption}</figcaption>{_picture(name, alt)}</figure>'


def _picture(name: str, alt: str) -> str:
    return (
        f'<picture><source srcset="{FILES}/{name}_dark.png" media="(prefers-color-scheme: dark)">'
        f'<img loading="lazy" src="{FILES}/{name}.png" alt="{alt}"></picture>'
    )


def _example(files: Path, number: int, example: Example) -> str:
    row, signals = example.row, example.signals
    sounds = {"Mixture": signals.mixture, "Target": signals.target, "Estimate": example.estimate}
    waveforms = {title: waveform for title, waveform in sounds.items() if waveform is not None}
    # one gain for all of them: levels stay comparable, and nothing clips in the files
    gain = min(1.0, 0.99 / max(1e-9, *(float(np.abs(waveform).max()) for waveform in waveforms.values())))
    players = []
    for title, waveform in waveforms.items():
        name = f"example_{number:02d}_{title.lower()}.wav"
        write_audio(files / name, waveform * np.float32(gain), signals.sample_rate)
        players.append(
            f"<figure><figcaption>{title}</figcaption>"
            f'<audio controls preload="none" src="{FILES}/{name}"></audio></figure>'
        )
    picture = f"example_{number:02d}"
    for suffix, theme in THEMES:
        plots.save_spectrograms(files / f"{picture}{suffix}.png", waveforms, signals.sample_rate, theme=theme)
    return (
        f'<article class="card"><h3>{escape(row.id)} {badge(row)}</h3>'
        f"<p>{_numbers(row)}</p>"
        f'<div class="players">{"".join(players)}</div>'
        f'<div class="spectrogram">{_picture(picture, f"spectrograms of example {number}")}</div>'
        f"{explanation(example)}</article>"
    )


def _numbers(row: ItemResult) -> str:
    parts = [f"probability {percent(row.probability)}"]
    for name, value in (
        ("SI-SDR", row.si_sdr_db),
        ("SI-SDRi", row.si_sdri_db),
        ("against the nearest interferer", row.interferer_si_sdr_db),
    ):
        if value is not None:
            parts.append(f"{name} {decibels(value)}")
    if row.hedged:
        parts.append("hedged")
    if row.abstained:
        parts.append("abstained")
    return " · ".join(parts)


def _items_note(count: int) -> str:
    note = "Click on a heading to sort. “Best candidate” is the SI-SDRi of the best one, chosen or not."
    if count > MAX_ROWS:
        note += f" The first {MAX_ROWS} of {count} items; the JSON has all of them."
    return note


def _item_row(row: ItemResult) -> str:
    error = f'<br><span class="faint">{escape(row.error)}</span>' if row.error else ""
    cells = [
        f"<td>{escape(row.id)}{error}</td>",
        f"<td>{badge(row)}</td>",
        cell(row.talkers, "d"),
        cell(row.history_turns, "d"),
        cell(row.probability, ".2f"),
        *(
            cell(value, ".1f")
            for value in (row.si_sdr_db, row.si_sdri_db, row.sdri_db, row.separation_si_sdri_db)
        ),
        *(cell(value, ".2f") for value in (row.pesq, row.stoi, row.wer)),
        cell(row.seconds, ".2f"),
    ]
    assert len(cells) == len(ITEM_COLUMNS)
    return f"<tr>{''.join(cells)}</tr>"
