"""SpokenWOZ as distributed -> utterances.jsonl: every turn as a file, with all turns before it as history.

A turn lasts from the beginning of its first word to the end of its last one, and is cut out of its speaker's channel.
Utterance ids are those of the paper's lists, TURN_SPEAKER_DIALOGUE with speaker 0 for the user and 1 for the system.
The corpus is described in Si et al., SpokenWOZ (NeurIPS 2023, arXiv 2305.13040).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from corpus import KNOWN_BROKEN, PARTS, Part, check, dev_list

from cse.corpora.json_objects import iterate_object
from cse.corpora.recorded import RecordedDialogue, RecordedTurn, write_corpus
from cse.corpora.report import Report
from cse.corpora.segments import LeftOut
from cse.engines.choice import EngineName, make_engine
from cse.errors import CseError, ManifestError, one_line

_UNKNOWN_WORD = re.compile(r"\[unk\]|<unk>")
CHANNELS = {"user": 0, "system": 1}  # of the stereo recordings; the paper's lists number the speakers alike


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--corpus", type=Path, required=True, help="folder that holds text_5700_* and audio_5700_*"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="utterances.jsonl to write; the audio goes beside it"
    )
    parser.add_argument("--max-history-turns", type=int, help="write only so many of the last turns (all)")
    parser.add_argument(
        "--channels",
        choices=["own", "mean"],
        default="own",
        help="audio of a turn: its speaker's channel, or the mean of both as in the paper's preparation (%(default)s)",
    )
    parser.add_argument(
        "--max-left-out", type=float, default=0.05, help="largest share of turns to leave out (%(default)s)"
    )
    parser.add_argument("--engine", choices=get_args(EngineName), default="pool", help="(%(default)s)")
    parser.add_argument("--workers", type=int, help="processes of the engine (one a core)")
    options = parser.parse_args()
    report = Report()
    try:
        check(options.corpus, partial=True)
        dialogues = list(read_corpus(options.corpus, report, own_channel=options.channels == "own"))
        write_corpus(
            dialogues,
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


def read_corpus(corpus: Path, report: Report, *, own_channel: bool = True) -> Iterator[RecordedDialogue]:
    """Read the transcripts of both parts; what cannot be used goes into the report.

    Raises:
        ManifestError: A broken data.json, or a valListFile.json that belongs to something else.
    """
    dev = set(dev_list(corpus).read_text(encoding="utf-8").split())
    seen: set[str] = set()
    for part in PARTS:
        for name, content in iterate_object(part.text(corpus)):
            seen.add(name)
            if name in KNOWN_BROKEN:
                report.leave_out_on_purpose(
                    [LeftOut(name, "known as broken", "audio and transcript do not belong together")]
                )
                continue
            split = "test" if part.name == "test" else "dev" if name in dev else "train"
            yield read_dialogue(name, content, part, corpus, split, report, own_channel)
    if not dev & seen:
        raise ManifestError(
            f"{dev_list(corpus)}: got none of the dialogues of the corpus, expected one id a line"
        )
    report.leave_out(
        LeftOut(name, "no transcript", f"is in {dev_list(corpus).name} only") for name in sorted(dev - seen)
    )


def read_dialogue(
    name: str, content: Any, part: Part, corpus: Path, split: str, report: Report, own_channel: bool
) -> RecordedDialogue:
    """All turns of one dialogue; those that nobody can place in the recording stay in the history."""
    log = content.get("log") if isinstance(content, Mapping) else None
    if not isinstance(log, list):
        report.leave_out([LeftOut(name, "no turns", 'has no list "log"')])
        log = []
    turns = []
    for number, entry in enumerate(log):
        turn = read_turn(name, number, entry, own_channel)
        if isinstance(turn, LeftOut):
            report.leave_out([turn])
            continue
        if turn.start_s is None:
            report.leave_out([LeftOut(turn.id, "no words", "has no word with a time")])
        elif not turn.text:
            report.keep([LeftOut(turn.id, "no text", "is heard, but has no text: nobody's history")])
        turns.append(turn)
    recording = part.audio(corpus) / f"{name}.wav"
    return RecordedDialogue(name=name, split=split, recording=recording, turns=tuple(turns))


def read_turn(name: str, number: int, entry: Any, own_channel: bool) -> RecordedTurn | LeftOut:
    """One entry of a log."""
    tag = entry.get("tag") if isinstance(entry, Mapping) else None
    if tag not in CHANNELS:
        return LeftOut(f"{number}_?_{name}", "no speaker", f"has the tag {tag!r}, expected user or system")
    text = entry.get("text")
    start_s, end_s = read_times(entry.get("words"))
    return RecordedTurn(
        id=f"{number}_{CHANNELS[tag]}_{name}",
        speaker=f"{name}-{tag}",
        text=" ".join(_UNKNOWN_WORD.sub(" ", text).split()) if isinstance(text, str) else "",
        start_s=start_s,
        end_s=end_s,
        channel=CHANNELS[tag] if own_channel else None,
    )


def read_times(words: Any) -> tuple[float, float] | tuple[None, None]:
    """From the first word's beginning to the last one's end, in seconds; None where the words do not say."""
    try:
        return words[0]["BeginTime"] / 1000, words[-1]["EndTime"] / 1000
    except (KeyError, IndexError, TypeError):
        return None, None


if __name__ == "__main__":
    sys.exit(main())
