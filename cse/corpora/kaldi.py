"""Kaldi data folders: `wav.scp`, `utt2spk`, and where they are there `segments` and `text`."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from cse.corpora.importing import in_time_order
from cse.corpora.recorded import RecordedDialogue, RecordedTurn
from cse.corpora.report import Report
from cse.corpora.segments import LeftOut
from cse.errors import ManifestError

FILES = ("wav.scp", "utt2spk", "segments", "text")
"""What is read of a data folder; the last two need not be there."""
_ARCHIVE = re.compile(r"\.ark(\.gz)?:\d+$")
_TO_THE_END = -1.0


def read_kaldi(folder: Path, *, split: str, audio_root: Path, report: Report) -> list[RecordedDialogue]:
    """Read a data folder; each recording is a dialogue, its segments are the turns.

    Without `segments`, every recording is one utterance. Without `text`, nobody has a history.

    Args:
        folder: The data folder.
        split: Of all its utterances.
        audio_root: What relative paths in `wav.scp` are relative to.
        report: Gets the segments without a recording or a speaker.

    Returns:
        Recordings in the order of `wav.scp`, those without segments left out.

    Raises:
        ManifestError: A file that is missing or wrong, with every wrong line; a shell command (`cmd |`) or an archive
            in the place of an audio file: nothing is executed.

    >>> import tempfile
    >>> data = Path(tempfile.mkdtemp())
    >>> _ = (data / "wav.scp").write_text("call /audio/call.flac")
    >>> _ = (data / "segments").write_text("b call 2.5 4.0\\na call 0.5 2.0")
    >>> _ = (data / "utt2spk").write_text("a ana\\nb ben")
    >>> _ = (data / "text").write_text("a where shall we meet")
    >>> dialogue = read_kaldi(data, split="train", audio_root=Path(), report=Report())[0]
    >>> [(turn.speaker, turn.text, turn.start_s) for turn in dialogue.turns]
    [('ana', 'where shall we meet', 0.5), ('ben', '', 2.5)]
    """
    problems: list[str] = []
    recordings = _recordings(folder / "wav.scp", audio_root, problems)
    speakers = _table(folder / "utt2spk", problems)
    texts = _table(folder / "text", problems, optional=True, may_be_empty=True)
    segments = _segments(folder, recordings, problems)
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise ManifestError(problems[0] + more, problems)
    turns: dict[str, list[tuple[float, RecordedTurn]]] = defaultdict(list)
    for utterance, (recording, start_s, end_s) in segments.items():
        if recording not in recordings:
            report.leave_out([LeftOut(utterance, "no recording", f"is of {recording}, which wav.scp lacks")])
        elif utterance not in speakers:
            report.leave_out([LeftOut(utterance, "no speaker", "is not in utt2spk")])
        else:
            turn = RecordedTurn(
                id=utterance,
                speaker=speakers[utterance],
                text=texts.get(utterance, ""),
                start_s=start_s,
                end_s=end_s,
            )
            turns[recording].append((start_s, turn))
    return [
        RecordedDialogue(name=name, split=split, recording=path, turns=in_time_order(turns[name]))
        for name, path in recordings.items()
        if turns[name]
    ]


def _recordings(path: Path, audio_root: Path, problems: list[str]) -> dict[str, Path]:
    recordings = {}
    for name, (number, source) in _entries(path, problems).items():
        if source.endswith("|") or source.startswith("|"):
            problems.append(
                f"{path}:{number}: got a shell command for {name}, expected an audio file; commands are not run: let "
                "it write files, and name these"
            )
        elif _ARCHIVE.search(source):
            problems.append(f"{path}:{number}: got an archive for {name}, expected an audio file")
        else:
            recordings[name] = audio_root / source
    return recordings


def _segments(
    folder: Path, recordings: dict[str, Path], problems: list[str]
) -> dict[str, tuple[str, float, float]]:
    """Recording, begin and end of each utterance; infinity is the end of the recording."""
    path = folder / "segments"
    if not path.exists():
        return {name: (name, 0.0, math.inf) for name in recordings}
    segments = {}
    for utterance, (number, rest) in _entries(path, problems).items():
        columns = rest.split()
        try:
            recording, start_s, end_s = columns[0], float(columns[1]), float(columns[2])
        except (IndexError, ValueError):
            problems.append(
                f"{path}:{number}: got {utterance} {rest!r}, expected: utterance recording begin end, in seconds"
            )
            continue
        segments[utterance] = recording, start_s, math.inf if end_s == _TO_THE_END else end_s
    return segments


def _table(
    path: Path, problems: list[str], *, optional: bool = False, may_be_empty: bool = False
) -> dict[str, str]:
    if optional and not path.exists():
        return {}
    entries = _entries(path, problems, may_be_empty=may_be_empty)
    return {name: value for name, (_, value) in entries.items()}


def _entries(path: Path, problems: list[str], *, may_be_empty: bool = False) -> dict[str, tuple[int, str]]:
    """Number and rest of each line by its first word."""
    entries: dict[str, tuple[int, str]] = {}
    for number, line in _lines(path):
        name, *others = line.split(maxsplit=1)
        rest = others[0].strip() if others else ""
        if name in entries:
            problems.append(f"{path}:{number}: got {name} a second time (first in line {entries[name][0]})")
        elif not rest and not may_be_empty:
            problems.append(f"{path}:{number}: got {name} alone, expected something after it")
        else:
            entries[name] = number, rest
    return entries


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot read: {error.strerror}; expected a Kaldi data folder with wav.scp and utt2spk"
        ) from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: got bytes that are no UTF-8, expected text") from error
