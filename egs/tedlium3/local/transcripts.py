"""TED-LIUM's transcripts (stm): sentences with their times, with ids as in the paper's lists, and readable text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cse.corpora.segments import LeftOut

NOT_SCORED = "ignore_time_segment_in_scoring"
# <unk>, [unk], {NOISE}, and pronunciation variants: the(2)
_MARK = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|\([^() ]*\)")
# it 's, you 're, o 'clock; but rock 'n' roll, 'cause and 'em stand alone
_CLITIC = re.compile(r"(?<=\w) +(?='(?!(?:cause|em|til|n)\b)\w)")


@dataclass(frozen=True)
class Sentence:
    """One line of a transcript."""

    id: str
    speaker: str
    start_s: float
    end_s: float
    text: str


def read_transcript(path: Path) -> tuple[list[Sentence], list[LeftOut], int]:
    """Read the sentences of a talk in the order they are said.

    Returns:
        The sentences; lines that cannot be used; and how many lines are marked not to be scored (gaps, applause).
    """
    sentences: dict[str, Sentence] = {}
    left_out = []
    not_scored = 0
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        if NOT_SCORED in line:
            not_scored += 1
            continue
        sentence = read_line(path.stem, line)
        if sentence is None:
            left_out.append(LeftOut(f"{path.name}:{number}", "no sentence", "is no line of a transcript"))
        elif sentence.id in sentences:
            left_out.append(LeftOut(sentence.id, "said twice", f"is in line {number} a second time"))
        else:
            sentences[sentence.id] = sentence
    return (
        sorted(sentences.values(), key=lambda sentence: sentence.start_s + sentence.end_s),
        left_out,
        not_scored,
    )


def read_line(talk: str, line: str) -> Sentence | None:
    """Read `talk channel speaker start end <label> text`; None if the line is something else.

    >>> read_line("AB_2009", "AB_2009 1 AnnaB 17.82 28.81 <o,f0,female> i 'd like to [unk] share it")
    Sentence(id='AB_2009-0001782-0002881', speaker='AnnaB', start_s=17.82, end_s=28.81, text="i'd like to share it")
    """
    fields = line.split(maxsplit=5)
    try:
        start_s, end_s = float(fields[3]), float(fields[4])
        # cut off, not rounded: so are the published ids
        places = f"{int(start_s * 100):07d}-{int(end_s * 100):07d}"
    except (IndexError, ValueError, OverflowError):
        return None
    text = clean(fields[5]) if len(fields) > 5 else ""
    return Sentence(f"{talk}-{places}", fields[2], start_s, end_s, text)


def clean(text: str) -> str:
    """Take marks out of a text, and join clitics to their word.

    >>> clean("<o,f0,male> it 's <unk> café o 'clock {NOISE} the(2) end (AB-12)")
    "it's café o'clock the end"
    """
    return _CLITIC.sub("", " ".join(_MARK.sub(" ", text).split()))


def pad(sentences: Sequence[Sentence], *, before_s: float = 0.15, after_s: float = 0.1) -> Iterator[Sentence]:
    """Move the ends of sentences apart, which are tight in the training talks, and never into a neighbour.

    Where two would share a stretch, they meet in the middle of it. This is what Kaldi's recipe does, whose segments the
    paper's mixtures are made of.

    >>> [(s.start_s, s.end_s) for s in pad([Sentence("a", "A", 1, 2, ""), Sentence("b", "A", 2.05, 3, "")])]
    [(0.85, 2.0), (2.0, 3.1)]
    """
    # what has no length stays so, and is left out later
    starts = [max(0.0, s.start_s - before_s * (s.start_s < s.end_s)) for s in sentences]
    ends = [s.end_s + after_s * (s.start_s < s.end_s) for s in sentences]
    for place in range(1, len(sentences)):
        if ends[place - 1] > starts[place]:
            ends[place - 1] = starts[place] = (ends[place - 1] + starts[place]) / 2
    for sentence, start_s, end_s in zip(sentences, starts, ends, strict=True):
        yield replace(sentence, start_s=start_s, end_s=end_s)
