"""Run an extractor over mixtures and keep what it did to each of them."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tqdm import tqdm

from cse.errors import CheckpointError, ConfigError, CseError, MissingExtraError, one_line
from cse.evaluation.examples import Example, ExampleKeeper
from cse.evaluation.items import METRICS, ItemResult, load_signals, score_extraction, score_extras
from cse.evaluation.summary import summarize
from cse.files import write_text

if TYPE_CHECKING:
    from cse.extraction import Extraction
    from cse.history import Turn
    from cse.manifest import Mixture
    from cse.selection.transcriber import Transcriber

CUES = ("history", "enrollment")


class ExtractsVoice(Protocol):
    """What is evaluated: an `Extractor`, or anything else that is called like one."""

    def extract(
        self,
        audio: Path,
        history: Sequence[Turn] | None = None,
        *,
        enrollment: Path | None = None,
        target: str | None = None,
    ) -> Extraction:
        """Return the voice in `audio` with which `target` continues `history`, or that speaks in `enrollment`."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """The rows of a run and what it was run with; `to_dict` is the JSON of `cse evaluate`."""

    items: list[ItemResult]
    settings: dict[str, Any]
    seed: int
    peak_rss_mb: float
    examples: list[Example] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Numbers over all items, the settings, one row per item; None where there is nothing to say."""
        numbers = summarize(self.items, seed=self.seed)
        rows = [item.to_dict() for item in self.items]
        return {**numbers, "peak_rss_mb": self.peak_rss_mb, "settings": self.settings, "per_item": rows}

    def to_json(self) -> str:
        """`to_dict` as JSON text that strict parsers take: no NaN."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def save_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file at once: a reader never sees half of it."""
        write_text(path, self.to_json())


def evaluate(
    extractor: ExtractsVoice,
    mixtures: Sequence[Mixture],
    *,
    history_turns: int | None = None,
    cues: frozenset[str] | None = None,
    metrics: frozenset[str] = frozenset(),
    transcriber: Transcriber | None = None,
    seed: int = 0,
    keep_examples: int = 0,
    progress: bool = False,
) -> Evaluation:
    """Extract from every mixture and compare what comes out with the target and the interferers.

    An item on which the extractor or a file fails is recorded with its error, counts as wrong, and the run
    goes on; what would fail on all of them alike (a missing package, a broken model) ends it.

    Args:
        extractor: what is measured.
        mixtures: records of a manifest; `target` None means that nobody continues the history.
        history_turns: how many of the last turns the extractor gets; None for all, 0 for an empty history,
            which leaves an extractor without another cue to guess.
        cues: which of "history" and "enrollment" it gets; None for all that an item has.
        metrics: which of "pesq", "stoi" and "wer" to add.
        transcriber: reads the estimate for "wer"; without one the extractor's own transcript is taken.
        seed: of the bootstrap intervals.
        keep_examples: for how many items at most to keep the estimate: some wrong, some bad, some good ones.
        progress: show a bar on stderr.

    Raises:
        ConfigError: an unknown cue or metric, a negative number of turns, or enrollment asked for where a
            mixture has none.
        MissingExtraError: the package of a metric that was asked for, or one that the extractor needs, is
            missing.
    """
    check_options(mixtures, history_turns=history_turns, cues=cues, metrics=metrics)
    keeper = ExampleKeeper(keep_examples)
    items: list[ItemResult] = []
    model: str | None = None
    interval_s = 0.2 if sys.stderr.isatty() else 30.0  # a log file wants few lines
    with tqdm(mixtures, desc="evaluate", unit="mixture", disable=not progress, mininterval=interval_s) as bar:
        for mixture in bar:
            history = select_history(mixture, history_turns=history_turns, cues=cues)
            row = _new_row(mixture, history=history, cues=cues)
            try:
                example = _evaluate_item(
                    extractor, mixture, row, history=history, metrics=metrics, transcriber=transcriber
                )
            except (CheckpointError, ConfigError, MissingExtraError):
                raise
            except CseError as error:
                # a new row: the old one may hold half of its numbers
                row = replace(_new_row(mixture, history=history, cues=cues), error=one_line(error))
            else:
                model = example.model
                keeper.offer(example)
            items.append(row)
            bar.set_postfix_str(_running(items), refresh=False)
    settings = {
        "model": model,
        "cues": sorted(cues) if cues is not None else None,
        "history_turns": history_turns,
        "metrics": sorted(metrics),
        "transcriber": transcriber.name if transcriber is not None else None,
        "seed": seed,
    }
    return Evaluation(
        items=items, settings=settings, seed=seed, peak_rss_mb=peak_rss_mb(), examples=keeper.chosen()
    )


def _new_row(mixture: Mixture, *, history: Sequence[Turn] | None, cues: frozenset[str] | None) -> ItemResult:
    return ItemResult(
        id=mixture.id,
        target_absent=mixture.target is None,
        talkers=len(mixture.interferers) + (mixture.target is not None),
        history_turns=len(history or ()),
        enrollment=mixture.enrollment is not None and (cues is None or "enrollment" in cues),
        duration_s=mixture.duration_s,
        alone=mixture.target is not None and not mixture.interferers and mixture.noise is None,
    )


def _evaluate_item(
    extractor: ExtractsVoice,
    mixture: Mixture,
    row: ItemResult,
    *,
    history: Sequence[Turn] | None,
    metrics: frozenset[str],
    transcriber: Transcriber | None,
) -> Example:
    """Extract from one mixture and fill its row."""
    signals = load_signals(mixture)
    row.duration_s = len(signals.mixture) / signals.sample_rate
    started, worked = time.perf_counter(), time.process_time()
    extraction = extractor.extract(
        mixture.mixture,
        history,
        enrollment=mixture.enrollment if row.enrollment else None,
        target=_next_speaker(mixture) if history else None,
    )
    row.seconds, row.processor_seconds = time.perf_counter() - started, time.process_time() - worked
    estimate = score_extraction(row, extraction, signals)
    score_extras(
        row, estimate, signals, metrics=metrics, target_text=mixture.target_text, transcriber=transcriber
    )
    return Example(
        row=row, mixture=mixture, signals=signals, estimate=estimate, history=history, model=extraction.model
    )


def _next_speaker(mixture: Mixture) -> str | None:
    """Who speaks in the mixture, as named in the history: in a chat it is known who sent the voice note."""
    named = {turn.speaker for turn in mixture.history}
    return mixture.target_speaker if mixture.target_speaker in named else None


def check_options(
    mixtures: Sequence[Mixture],
    *,
    history_turns: int | None,
    cues: Iterable[str] | None,
    metrics: Iterable[str],
) -> None:
    """Say at once what would otherwise show after hours; raises ConfigError."""
    if not mixtures:
        raise ConfigError("got no mixture to evaluate, expected at least one; see the manifest and --limit")
    if history_turns is not None and history_turns < 0:
        raise ConfigError(f"history turns: got {history_turns}, expected 0 (no history) or more")
    for kind, given, known in (("cue", cues or (), CUES), ("metric", metrics, sorted(METRICS))):
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ConfigError(f"unknown {kind} {unknown[0]!r}, expected some of {', '.join(known)}")
    if cues is None:
        return
    if not set(cues):
        raise ConfigError(f"got no cue, expected at least one of {', '.join(CUES)}")
    without = [mixture.id for mixture in mixtures if mixture.enrollment is None]
    if "enrollment" in cues and without:
        raise ConfigError(
            f"cue enrollment: {len(without)} of {len(mixtures)} mixtures have none (the first is "
            f"{without[0]!r}); leave the cues out to use what each mixture has"
        )


def select_history(
    mixture: Mixture, *, history_turns: int | None, cues: frozenset[str] | None
) -> list[Turn] | None:
    """The turns an extractor gets of a mixture's history, oldest first; None where history is no cue."""
    if cues is not None and "history" not in cues:
        return None
    turns = list(mixture.history)
    return turns if history_turns is None else turns[max(0, len(turns) - history_turns) :]


def peak_rss_mb() -> float:
    """Largest memory this process has held so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6  # bytes on macOS, KiB on Linux


def _running(items: Sequence[ItemResult]) -> str:
    right = sum(item.right for item in items)
    failed = sum(item.error is not None for item in items)
    return f"right {right}/{len(items)}" + (f", failed {failed}" if failed else "")
