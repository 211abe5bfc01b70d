"""`cse evaluate`: what a model reaches on a manifest of mixtures, as a table, as JSON, as a page."""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cse.cli.models import add_model_options, load_extractor
from cse.cli.outputs import check_file, check_folder, check_no_input
from cse.cli.parser import Parser
from cse.errors import ConfigError, CseError, MissingExtraError
from cse.evaluation.evaluate import CUES, Evaluation, ExtractsVoice, check_options, evaluate
from cse.evaluation.items import METRICS
from cse.evaluation.markup import RESULTS, interval, quantity
from cse.evaluation.report import check_report_folder, write_report
from cse.evaluation.score_set import with_history
from cse.evaluation.swap import swap_cues
from cse.extractor import Extractor
from cse.manifest import Mixture, read_mixtures
from cse.selection.transcriber import Transcriber

PACKAGE_OF_METRIC = {"pesq": "pesq", "stoi": "pystoi", "wer": "jiwer"}
DESCRIPTION = """\
Extract the target of every mixture in a manifest and compare it with what it should be.

An item is right when the estimate's SI-SDR against the target is higher than against every
interferer. An item that fails counts as wrong. Where the target is null, right is to say that
it is absent; such items enter no decibel mean. The exit code is 0; 2 for a wrong option or
manifest, or when every item failed."""


def main(argv: list[str]) -> int:
    """Check everything, evaluate, write, report."""
    options = build_parser().parse_args(argv)
    mixtures = with_history(read_mixtures(options.manifest), options.min_history_turns)
    mixtures = swap_cues(mixtures, options.swap)[: options.limit]
    metrics = _available(options.metrics)
    check_options(mixtures, history_turns=options.history_turns, cues=options.cues, metrics=metrics)
    _check_outputs(options, mixtures)
    transcriber = _load_transcriber(options, metrics)
    extractor = load_extractor(options)
    evaluation = evaluate(
        _perfect(extractor, mixtures) if options.oracle_separation else _warned(extractor, mixtures),
        mixtures,
        history_turns=options.history_turns,
        cues=options.cues,
        metrics=metrics,
        transcriber=transcriber,
        seed=options.seed,
        keep_examples=options.examples if options.report else 0,
        progress=True,
    )
    command = shlex.join(["cse", "evaluate", *argv])
    evaluation = replace(
        evaluation, settings={**evaluation.settings, **_provenance(options), "command": command}
    )
    _write(evaluation, options)
    failed = [item for item in evaluation.items if item.error is not None]
    if len(failed) == len(evaluation.items):
        raise CseError(f"all {len(failed)} items failed; the first one, {failed[0].id}: {failed[0].error}")
    return 0


def _perfect(extractor: Extractor, mixtures: Sequence[Mixture]) -> ExtractsVoice:
    from cse.evaluation.perfect_separation import PerfectSeparation

    return PerfectSeparation(extractor, mixtures)


def _warned(extractor: Extractor, mixtures: Sequence[Mixture]) -> Extractor:
    """Say where a model has fewer outputs than a mixture has talkers: what it reaches there can still be measured."""
    counts = [len(mixture.interferers) + (mixture.target is not None) for mixture in mixtures]
    over = [
        mixture.id for mixture, talkers in zip(mixtures, counts, strict=True) if talkers > extractor.talkers
    ]
    if over:
        print(
            f"cse evaluate: warning: {len(over)} of {len(mixtures)} mixtures, {over[0]} first, have up to "
            f"{max(counts)} talkers, and {extractor.name} was made for {extractor.talkers}: some will share an "
            "estimate",
            file=sys.stderr,
        )
    return extractor


def build_parser() -> argparse.ArgumentParser:
    """The options of `cse evaluate`."""
    parser = Parser(
        prog="cse evaluate", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", required=True, metavar="FILE", help="mixtures.jsonl")
    parser.add_argument(
        "--json", metavar="FILE", help="write all numbers there; - prints them instead of the table"
    )
    parser.add_argument("--report", metavar="DIR", help="write a page with plots and sounds there")
    parser.add_argument(
        "--history-turns", type=_whole_number, metavar="K",
        help="how many of the last turns the model gets; 0 is an empty history, which leaves a model without "
        "enrollment to guess; all if left out",
    )  # fmt: skip
    parser.add_argument(
        "--min-history-turns", type=_whole_number, default=0, metavar="N",
        help="only the mixtures that have so many turns of history, whatever the model gets of them (all)",
    )  # fmt: skip
    parser.add_argument(
        "--cues", type=_names("cue", CUES), metavar="LIST",
        help="of history,enrollment; all that a mixture has if left out",
    )  # fmt: skip
    parser.add_argument(
        "--swap", type=_names("cue", CUES), default=frozenset(), metavar="LIST",
        help="of history,enrollment: give each mixture those of its first interferer, to see which cue a model "
        "follows; mixtures that do not say them are left out",
    )  # fmt: skip
    parser.add_argument(
        "--oracle-separation", action="store_true",
        help="hand the true voices to the model's chooser: how well it chooses, given perfect separation",
    )  # fmt: skip
    parser.add_argument(
        "--metrics", type=_names("metric", sorted(METRICS)), default=frozenset(), metavar="LIST",
        help="of pesq,stoi,wer: what takes longer and needs the extra cse[metrics]",
    )  # fmt: skip
    parser.add_argument(
        "--wer-transcriber", metavar="NAME|PATH",
        help="reads the estimates for wer: moonshine, pocketsphinx, a folder with a Whisper model, or "
        "hf://owner/name, which downloads one; what the model itself understood if left out",
    )  # fmt: skip
    parser.add_argument("--limit", type=_positive_number, metavar="N", help="only the first N mixtures")
    parser.add_argument(
        "--examples", type=_whole_number, default=10, metavar="N", help="sounds in the report (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=_whole_number, default=0, help="of the bootstrap intervals (%(default)s)"
    )
    add_model_options(parser)
    return parser


def table(evaluation: Evaluation) -> str:
    """The numbers of a run as lines of text: name, value, 95 % interval; then a line per number of turns."""
    numbers = evaluation.to_dict()
    rows = [("items", str(numbers["n"]), "")]
    rows += [(name, str(numbers[key]), "") for key, name in _COUNTS.items() if numbers[key]]
    for key, (name, kind, _) in RESULTS.items():
        if numbers.get(key) is not None:
            rows.append((name, quantity(numbers[key], kind), interval(numbers.get(f"{key}_ci95"), kind)))
    for label, group in numbers["by_history_turns"].items():
        rows.append(_turns_row(label, group))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {bounds}".rstrip() for name, value, bounds in rows
    )


_COUNTS = {"n_absent": "items without the target", "n_failed": "items that failed"}


def _turns_row(label: str, group: Mapping[str, Any]) -> tuple[str, str, str]:
    accuracy = quantity(group["selection_accuracy"], "share")
    bounds = interval(group["selection_accuracy_ci95"], "share")
    turns = "1 turn" if label == "1" else f"{label} turns"
    return f"right voice, {turns}", accuracy, f"{bounds}  (n = {group['n']})"


def _write(evaluation: Evaluation, options: argparse.Namespace) -> None:
    if options.json not in (None, "-"):
        evaluation.save_json(options.json)
    if options.report:
        page = write_report(
            options.report, evaluation, title=f"Evaluation of {evaluation.settings['model'] or 'a model'}"
        )
        print(f"report: {page}", file=sys.stderr)
    if options.json == "-":
        sys.stdout.write(evaluation.to_json())
    else:
        print(table(evaluation))


def _check_outputs(options: argparse.Namespace, mixtures: Sequence[Mixture]) -> None:
    """Find out before the work that its result can be kept, and that nothing is lost for it."""
    if options.report:
        check_report_folder(options.report)
        check_folder("--report", Path(options.report))
        if find_spec("matplotlib") is None:
            raise MissingExtraError(feature="the report", extra="metrics", package="matplotlib")
    if options.json not in (None, "-"):
        check_file("--json", Path(options.json))
        check_no_input("--json", [Path(options.json)], [options.manifest, *_files(mixtures)])


def _files(mixtures: Sequence[Mixture]) -> Iterator[Path]:
    for mixture in mixtures:
        paths = (mixture.mixture, mixture.target, *mixture.interferers, mixture.enrollment)
        yield from (path for path in paths if path is not None)


def _available(metrics: frozenset[str]) -> frozenset[str]:
    """The metrics whose packages are there; the others stay null, and stderr says why."""
    missing = sorted(name for name in metrics if find_spec(PACKAGE_OF_METRIC[name]) is None)
    for name in missing:
        error = MissingExtraError(feature=name.upper(), extra="metrics", package=PACKAGE_OF_METRIC[name])
        print(f"cse evaluate: warning: {error}", file=sys.stderr)
    return metrics - set(missing)


def _load_transcriber(options: argparse.Namespace, metrics: frozenset[str]) -> Transcriber | None:
    if options.wer_transcriber is None:
        return None
    if "wer" not in options.metrics:
        raise ConfigError(
            f"--wer-transcriber {options.wer_transcriber}: only wer needs one; add --metrics wer"
        )
    if "wer" not in metrics:
        return None
    from cse.selection.transcribers import load_transcriber

    return load_transcriber(options.wer_transcriber, device=options.device)


def _provenance(options: argparse.Namespace) -> dict[str, Any]:
    """What else is needed to get the same numbers again."""
    return {
        "manifest": options.manifest,
        "min_history_turns": options.min_history_turns,
        "limit": options.limit,
        "swapped": sorted(options.swap),
        "oracle_separation": options.oracle_separation,
        "device": options.device,
        "versions": {
            "python": platform.python_version(),
            **{package: _version(package) for package in ("cse", "torch", "numpy", "scipy")},
        },
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree on PYTHONPATH
        return None


def _names(kind: str, known: Sequence[str]) -> Any:
    def parse(text: str) -> frozenset[str]:
        names = frozenset(filter(None, (name.strip() for name in text.split(","))))
        unknown = sorted(names - set(known))
        if unknown or not names:
            got = repr(unknown[0]) if unknown else "none"
            raise argparse.ArgumentTypeError(f"got {kind} {got}, expected some of {','.join(known)}")
        return names

    return parse


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number, 0 or more")
    return int(text)


def _positive_number(text: str) -> int:
    number = _whole_number(text)
    if number == 0:
        raise argparse.ArgumentTypeError("got 0, expected a whole number, 1 or more")
    return number
