"""`cse extract FOLDER|MANIFEST`: many recordings, by any engine, to a folder of voices and their results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cse import __version__
from cse.audio import WRITABLE_SUFFIXES
from cse.checkpoint import DEFAULT_MODEL
from cse.cli.batch_items import FAILURES, RESULTS, BatchItem, items_of
from cse.cli.batch_work import NOTES, ExtractOne, Failed, model_version
from cse.cli.models import load_extractor
from cse.cli.results import json_line
from cse.engines.choice import make_engine
from cse.engines.engine import Engine, WorkerDiedError
from cse.errors import ConfigError, CseError, TargetAbsentError
from cse.files import atomic_write


def extract_batch(options: argparse.Namespace) -> int:
    """Extract from all recordings but those that an earlier run has done; write what came out of it.

    Raises:
        ConfigError: Options that do not go together, or an output that cannot be written.
        TargetAbsentError: All that failed did so because nobody continues the history.
        CseError: Some recordings failed otherwise.
    """
    output = Path(options.output)
    items = items_of(
        options.audio, output, history=options.history, enrollment=options.enrollment, chat=options.chat
    )
    engine = make_engine(options.engine or "serial", workers=options.workers, address=options.ray_address)
    _make_folder(output)
    work = ExtractOne(
        load=partial(load_extractor, options),
        options={
            "cse": __version__,
            "model": model_version(options.model or DEFAULT_MODEL),
            **{
                name: model_version(getattr(options, name))
                for name in ("transcriber", "scorer", "voice_encoder")
            },
            "precision": options.precision,
            "quick": options.quick,
        },
        target=options.target,
        on_absent=options.on_absent,
    )
    results = run_batch(items, work, engine)
    done = [result for result in results if not isinstance(result, Failed)]
    failed = [result for result in results if isinstance(result, Failed)]
    _write_lines(output / RESULTS, done)
    _write_failures(output / FAILURES, failed)
    if options.json:
        for result in done:
            print(json_line(result))
    else:
        unsure = sum(result["abstained"] for result in done)
        doubt = f", not sure of {unsure}: listen to them" if unsure else ""
        print(f"{output / RESULTS}: {_count(len(done), 'voice')}{doubt}")
    if failed:
        raise _summary(failed, len(items), output)
    return 0


def run_batch(items: Sequence[BatchItem], work: ExtractOne, engine: Engine) -> list[dict[str, Any] | Failed]:
    """Work on every item that is not done yet, with a progress bar; the results are in the order of the items.

    Raises:
        CseError: The model cannot be loaded.
    """
    results: dict[str, dict[str, Any] | Failed | None] = {item.name: work.finished(item) for item in items}
    missing = [item for item in items if results[item.name] is None]
    with tqdm(total=len(items), initial=len(items) - len(missing), desc="extract", unit="recording") as bar:
        for item, result in zip(missing, _survivors(missing, work, engine), strict=True):
            results[item.name] = result
            _report(item, result)
            bar.update()
    return [result for result in results.values() if result is not None]


def _survivors(
    items: Sequence[BatchItem], work: ExtractOne, engine: Engine
) -> Iterator[dict[str, Any] | Failed]:
    """Results in order; an item that kills its worker every time has failed, and the others go on."""
    done = 0
    while done < len(items):
        try:
            for result in engine.map(work, items[done:], name=lambda item: item.name):
                done += 1
                yield result
        except WorkerDiedError as error:
            message = str(error).removeprefix(f"{items[done].name}: ")
            yield Failed(items[done].name, message, error.exit_code)
            done += 1


def _report(item: BatchItem, result: dict[str, Any] | Failed) -> None:
    """Say at once what the user should know, above the progress bar."""
    if isinstance(result, Failed):
        tqdm.write(f"cse extract: {item.name}: {result.message}", file=sys.stderr)
        if result.trace is not None:
            tqdm.write(result.trace, file=sys.stderr)
    else:
        for warning in result["warnings"]:
            tqdm.write(f"cse extract: warning: {item.name}: {warning}", file=sys.stderr)


def _summary(failed: Sequence[Failed], items: int, output: Path) -> Exception:
    """One line about all that failed; its exit code is that of the worst."""
    text = (
        f"{len(failed)} of {_count(items, 'recording')} failed, {failed[0].name} first: {failed[0].message}; all are "
        f"in {output / FAILURES}; the same command tries them again"
    )
    codes = {one.exit_code for one in failed}
    if 1 in codes:
        return RuntimeError(text)  # a bug, and its exit code
    return TargetAbsentError(text) if codes == {TargetAbsentError.exit_code} else CseError(text)


def _make_folder(output: Path) -> None:
    """Find out before hours of work whether its results can be kept."""
    if output.suffix.lower() in WRITABLE_SUFFIXES and not output.is_dir():
        raise ConfigError(
            f"-o {output}: got the name of a file for many recordings, expected that of a folder"
        )
    try:
        (output / NOTES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"-o {output}: cannot make this folder: {error.strerror}; many recordings need a folder that you may "
            "write to"
        ) from error


def _write_lines(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    with atomic_write(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json_line(line) + "\n" for line in lines)


def _write_failures(path: Path, failed: Sequence[Failed]) -> None:
    if failed:
        _write_lines(path, [{"name": one.name, "error": one.message} for one in failed])
    else:
        path.unlink(missing_ok=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
