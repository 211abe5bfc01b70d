"""TED-LIUM 3 as distributed -> utterances.jsonl: every sentence as a file, with the sentences before it as history.

The corpus is described in Hernandez et al., TED-LIUM 3 (SPECOM 2018, arXiv 1805.04699). The partition is the one for
speaker adaptation by default, because the talks of the paper's test lists are its test talks; in the legacy partition
the same talks are in the training split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from corpus import Partition, check, legacy_split, recording, splits, talks
from transcripts import pad, read_transcript

from cse.corpora.recorded import RecordedDialogue, RecordedTurn, write_corpus
from cse.corpora.report import Report
from cse.corpora.segments import LeftOut
from cse.engines.choice import EngineName, make_engine
from cse.errors import CseError, one_line


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--corpus", type=Path, required=True, help="folder that holds legacy/ and speaker-adaptation/"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="utterances.jsonl to write; the audio goes beside it"
    )
    parser.add_argument(
        "--partition", choices=get_args(Partition), default="speaker-adaptation", help="(%(default)s)"
    )
    parser.add_argument(
        "--max-history-turns", type=int, help="write only so many of the last sentences (all)"
    )
    parser.add_argument(
        "--max-left-out",
        type=float,
        default=0.05,
        help="largest share of sentences to leave out (%(default)s)",
    )
    parser.add_argument("--engine", choices=get_args(EngineName), default="pool", help="(%(default)s)")
    parser.add_argument("--workers", type=int, help="processes of the engine (one a core)")
    options = parser.parse_args()
    report = Report()
    try:
        check(options.corpus, options.partition, partial=True)
        write_corpus(
            list(read_corpus(options.corpus, options.partition, report)),
            options.output,
            engine=make_engine(options.engine, workers=options.workers),
            report=report,
            max_history_turns=options.max_history_turns,
            max_left_out=options.max_left_out,
        )
    except CseError as error:
        print(f"prepare.py: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    print(f"{options.output}: {report.summary()}")
    return 0


def read_corpus(corpus: Path, partition: Partition, report: Report) -> Iterator[RecordedDialogue]:
    """Read the transcripts of all talks of a partition; what cannot be used goes into the report.

    Raises:
        ManifestError: Lists that do not fit together.
    """
    transcripts = talks(corpus)
    chosen = splits(corpus, partition)
    for name in sorted(transcripts.keys() - chosen.keys()):
        report.leave_out_on_purpose([LeftOut(name, "in no list", f"is in no list of {partition}")])
    for name, split in chosen.items():
        if name in transcripts:
            yield read_talk(name, split, transcripts[name], report)
        else:
            report.leave_out(
                [LeftOut(name, "no transcript", f"is in {split}.lst, but legacy/ has no {name}.stm")]
            )


def read_talk(name: str, split: str, transcript: Path, report: Report) -> RecordedDialogue:
    """All sentences of one talk."""
    sentences, left_out, not_scored = read_transcript(transcript)
    report.leave_out(left_out)
    report.leave_out_on_purpose([LeftOut(name, "not to be scored", "is marked so")] * not_scored)
    report.keep(LeftOut(s.id, "no text", "has no words: nobody's history") for s in sentences if not s.text)
    if legacy_split(transcript) == "train":
        sentences = list(pad(sentences))
    turns = (
        RecordedTurn(id=s.id, speaker=s.speaker, text=s.text, start_s=s.start_s, end_s=s.end_s)
        for s in sentences
    )
    return RecordedDialogue(name=name, split=split, recording=recording(transcript), turns=tuple(turns))


if __name__ == "__main__":
    sys.exit(main())
