"""`cse import`: a Kaldi data folder or lhotse manifests -> `utterances.jsonl`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from cse.cli.outputs import check_no_input
from cse.cli.parser import Parser
from cse.corpora.importing import write_imported
from cse.corpora.kaldi import FILES, read_kaldi
from cse.corpora.lhotse import read_lhotse
from cse.corpora.report import Report
from cse.engines.choice import EngineName, make_engine
from cse.errors import ConfigError

DESCRIPTION = """\
Turn a corpus in the form of another toolkit into utterances.jsonl, for `cse simulate` and `cse train`.

Each recording is a dialogue: what was said in it before an utterance is the utterance's history, with
the speakers as they are named. Segments of long recordings are cut out into audio/ beside the manifest;
recordings that are one utterance each stay where they are. What cannot be used is in left_out.json."""


def main(argv: list[str]) -> int:
    """Read, cut, write; say how many utterances there are."""
    options = build_parser().parse_args(argv)
    if not 0 <= options.max_left_out <= 1:
        raise ConfigError(f"--max-left-out: got {options.max_left_out}, expected a share between 0 and 1")
    engine, report = make_engine(options.engine, workers=options.workers), Report()
    if options.form == "kaldi":
        check_no_input("-o", [options.output], [options.folder / name for name in FILES])
        dialogues = read_kaldi(
            options.folder, split=options.split, audio_root=options.audio_root, report=report
        )
    else:
        check_no_input("-o", [options.output], options.manifests)
        dialogues = read_lhotse(
            options.manifests, split=options.split, audio_root=options.audio_root, report=report
        )
    check_no_input("-o", [options.output], [dialogue.recording for dialogue in dialogues])
    write_imported(dialogues, options.output, engine=engine, report=report, max_left_out=options.max_left_out)
    print(options.output)
    print(f"cse import: {report.summary()}", file=sys.stderr)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The options of `cse import`."""
    form = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="cse import", description=DESCRIPTION, formatter_class=form)
    forms = parser.add_subparsers(dest="form", required=True, metavar="FORM")
    kaldi = forms.add_parser("kaldi", help="a data folder: wav.scp, utt2spk, segments, text")
    kaldi.add_argument("folder", type=Path, metavar="DIR", help="data folder")
    lhotse = forms.add_parser("lhotse", help="cuts, or recordings and supervisions; .jsonl or .jsonl.gz")
    lhotse.add_argument("manifests", type=Path, nargs="+", metavar="FILE", help="manifests in JSON Lines")
    for one in (kaldi, lhotse):
        one.add_argument("-o", "--output", type=Path, required=True, help="utterances.jsonl to write")
        one.add_argument("--split", default="train", help="of all utterances (%(default)s)")
        one.add_argument(
            "--audio-root", type=Path, default=Path(), metavar="DIR",
            help="what relative paths of audio are relative to (the working directory)",
        )  # fmt: skip
        one.add_argument(
            "--max-left-out", type=float, default=0.05, metavar="SHARE",
            help="of the utterances, before it is an error (%(default)s)",
        )  # fmt: skip
        one.add_argument("--engine", choices=get_args(EngineName), default="pool", help="(%(default)s)")
        one.add_argument("--workers", type=int, metavar="N", help="its processes; one a core if left out")
    return parser
