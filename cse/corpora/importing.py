"""What the importers share: recordings with their segments -> utterances.jsonl."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import soundfile

from cse.corpora.recorded import REPORT, RecordedDialogue, RecordedTurn, write_corpus
from cse.corpora.report import Report
from cse.corpora.segments import LeftOut
from cse.engines.engine import Engine
from cse.errors import ManifestError
from cse.manifest import Utterance, write_manifest

UNKNOWN_SPEAKER = "unknown"
_TOLERANCE_S = 0.02  # times in manifests are rounded


def write_imported(
    dialogues: Sequence[RecordedDialogue],
    manifest: Path,
    *,
    engine: Engine,
    report: Report,
    max_left_out: float,
) -> None:
    """Write `utterances.jsonl`: the segments before an utterance in its recording are its history.

    Where every recording is one utterance from beginning to end, the manifest names the recordings; otherwise all
    segments are cut out, into `audio/` beside the manifest. The report goes to `left_out.json`.

    Args:
        dialogues: Recordings; a turn that ends at infinity goes on to the end of its recording.
        manifest: To write.
        engine: Where headers are read and segments cut.
        report: Already holds what the importer left out.
        max_left_out: Largest share of utterances to leave out.

    Raises:
        ManifestError: Ids that cannot be names of files, two equal ones, or too much would be left out.
        CseError: A folder cannot be written to.
    """
    _check_names(dialogues)
    headers = list(engine.map(_header, dialogues, name=_name))
    ended = [_ended(dialogue, header) for dialogue, header in zip(dialogues, headers, strict=True)]
    if not all(map(_is_whole, ended, headers)):
        write_corpus(ended, manifest, engine=engine, report=report, max_left_out=max_left_out)
        return
    manifest.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_manifest(manifest, _named(ended, headers, report, max_left_out))
    finally:
        report.write(manifest.parent / REPORT)


@dataclass(frozen=True)
class _Header:
    duration_s: float
    sample_rate: int
    channels: int


def _header(dialogue: RecordedDialogue) -> _Header | str:
    """What the header of a recording says, or why it cannot be read."""
    try:
        info = soundfile.info(str(dialogue.recording))
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".") if dialogue.recording.is_file() else "no such file"
        return f"{dialogue.recording}: {reason}"
    return _Header(info.duration, info.samplerate, info.channels) if info.frames else "no samples"


def _name(dialogue: RecordedDialogue) -> str:
    return f"recording {dialogue.name}"


def _ended(dialogue: RecordedDialogue, header: _Header | str) -> RecordedDialogue:
    """The same with the length of the recording for turns that go on to its end."""
    if isinstance(header, str):  # whoever opens it will say so
        return dialogue
    turns = (
        replace(turn, end_s=header.duration_s) if turn.end_s == math.inf else turn for turn in dialogue.turns
    )
    return replace(dialogue, turns=tuple(turns))


def _is_whole(dialogue: RecordedDialogue, header: _Header | str) -> bool:
    """Whether a recording is one utterance and nothing else; one that cannot be read does not matter."""
    if isinstance(header, str):
        return len(dialogue.turns) == 1
    if len(dialogue.turns) != 1 or header.channels != 1:
        return False
    start_s, end_s = dialogue.turns[0].start_s, dialogue.turns[0].end_s
    if start_s is None or end_s is None:
        return False
    return start_s <= _TOLERANCE_S and end_s >= header.duration_s - _TOLERANCE_S


def _named(
    dialogues: Sequence[RecordedDialogue],
    headers: Sequence[_Header | str],
    report: Report,
    max_left_out: float,
) -> Iterator[Utterance]:
    for dialogue, header in zip(dialogues, headers, strict=True):
        turn = dialogue.turns[0]
        if isinstance(header, str):
            report.leave_out([LeftOut(turn.id, "unreadable recording", header)])
            continue
        report.utterances += 1
        yield Utterance(
            id=turn.id,
            audio=dialogue.recording.resolve(),
            speaker=turn.speaker,
            duration_s=header.duration_s,
            sample_rate=header.sample_rate,
            text=turn.text or None,
            dialogue=dialogue.name,
            split=dialogue.split,
        )
    report.check(max_left_out)


def _check_names(dialogues: Sequence[RecordedDialogue]) -> None:
    """Refuse names that would lead out of the folder for audio: the manifest may be somebody else's."""
    for dialogue in dialogues:
        for name in (dialogue.name, *(turn.id for turn in dialogue.turns)):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\0" in name:
                raise ManifestError(
                    f"got the id {name!r}, expected one that can be the name of a file; rename it"
                )


def in_time_order(turns: Sequence[tuple[float, RecordedTurn]]) -> tuple[RecordedTurn, ...]:
    """Turns by when they begin; by id where two begin at once."""
    return tuple(turn for _, turn in sorted(turns, key=lambda pair: (pair[0], pair[1].id)))
