"""`cse doctor`: what is installed, which parts are active, whether the main job runs, and what would make it better."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import cse
from cse.cli.doctor_checks import (
    Finding,
    check_codecs,
    check_packages,
    check_processor,
    check_weights,
)
from cse.cli.models import add_model_options, load_extractor
from cse.cli.parser import Parser
from cse.encoders.sources import TRANSFORMERS_FILES, model_folder
from cse.errors import CseError, one_line
from cse.extractor import Extractor
from cse.history import Turn
from cse.inference.separate_then_choose import SeparateThenChoose

DESCRIPTION = """\
Say what is installed, which parts are active, whether the main job runs (on made-up sound), and
what would make it better. Nothing is downloaded: of an hf:// name, what was downloaded before is
used. The exit code is 0 where the main job runs, else 2."""

_OFFLINE = 'pip install "cse[offline]"'
# what may take the place of an active part, by its name
_BETTER = {
    "pocketsphinx": f"Moonshine mishears less: {_OFFLINE}",
    "moonshine": "Whisper knows more languages than English: --transcriber hf://openai/whisper-small",
    "minilm": "a causal language model: --scorer hf://organisation/name",
    "next-turn": "a causal language model: --scorer hf://organisation/name",
    "resemblyzer": "ECAPA-TDNN: --voice-encoder hf://speechbrain/spkrec-ecapa-voxceleb",
}
_NEEDS_ADVICE = frozenset({"pocketsphinx"})  # the others are fine as they are, for most
_TRIAL_S = 2.0


def main(argv: list[str]) -> int:
    """Look at everything, try the main job, report."""
    options = _parser().parse_args(argv)
    findings = [
        *check_packages(),
        *check_weights(Path(cse.__file__).parent / "pretrained"),
        *check_codecs(),
        *check_processor(),
        *_check_job(options),
    ]
    runs = any(finding.name == "main job" and finding.status == "ok" for finding in findings)
    if options.json:
        print(json.dumps({"ok": runs, "findings": [asdict(finding) for finding in findings]}))
    else:
        print(_table(findings))
    return 0 if runs else 2


def _table(findings: Sequence[Finding]) -> str:
    width = max(len(finding.name) for finding in findings)
    return "\n".join(
        f"{finding.status:<7} {finding.name:<{width}}  {finding.found}"
        + ("" if finding.advice is None else f" -> {finding.advice}")
        for finding in findings
    )


def _check_job(options: argparse.Namespace) -> Iterator[Finding]:
    """Load the model with its parts, say what they are, and extract a voice from made-up sound."""
    try:
        started = time.perf_counter()
        extractor = load_extractor(_without_downloads(options))
        loading_s = time.perf_counter() - started
        yield from _active_parts(extractor)
        found = _try(extractor)
    except Exception as error:  # whatever breaks is what the user wants to know
        kind = "" if isinstance(error, CseError) else f"{type(error).__name__}: "
        yield Finding(name="main job", status="broken", found=kind + one_line(error))
        return
    yield Finding(name="main job", status="ok", found=f"runs: {found}, loading took {loading_s:.1f} s")


def _without_downloads(options: argparse.Namespace) -> argparse.Namespace:
    """The options with the folders of models that were downloaded before in place of their hf:// names."""
    local = argparse.Namespace(**vars(options))
    for name in ("model", "transcriber", "scorer", "voice_encoder"):
        source = getattr(options, name)
        if source is not None and source.startswith("hf://"):
            setattr(local, name, str(model_folder(source, files=TRANSFORMERS_FILES, download=False)))
    return local


def _active_parts(extractor: Extractor) -> Iterator[Finding]:
    method = extractor.method
    yield Finding(
        name="model",
        status="ok",
        found=f"{extractor.name}: up to {method.talkers} talkers, {method.sample_rate} Hz",
    )
    if not isinstance(method, SeparateThenChoose):
        yield Finding(name="choice", status="ok", found="by the model itself")
        return
    chooser = method.chooser
    yield _active("transcriber", chooser.transcriber.name)
    yield _active("scorer", chooser.scorer.name)
    if chooser.voice_encoder is None:
        yield Finding(
            name="voice encoder",
            status="better",
            found="none: enrollments and voice books cannot be used",
            advice=_OFFLINE,
        )
    else:
        yield _active("voice encoder", chooser.voice_encoder.name)


def _active(part: str, name: str) -> Finding:
    return Finding(
        name=part,
        status="better" if name in _NEEDS_ADVICE else "ok",
        found=name,
        advice=_BETTER.get(name),
    )


def _try(extractor: Extractor) -> str:
    """Do the main job once; says how long it took."""
    from cse.testing.corpus import speech_like

    rate = extractor.method.sample_rate
    voices = [speech_like(_TRIAL_S, talker=talker, sample_rate=rate) for talker in range(2)]
    history = [Turn("Where shall we meet?", "Ana"), Turn("At the station.", "Ben")]
    started = time.perf_counter()
    extractor.extract(voices[0] + voices[1], history, sample_rate=rate)
    return f"{_TRIAL_S:g} s of sound in {time.perf_counter() - started:.1f} s"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="cse doctor", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_model_options(parser)
    return parser
