"""Conversations and talks that were recorded in one piece -> one file an utterance, and utterances.jsonl."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from cse.corpora.report import Report
from cse.corpora.segments import Cut, LeftOut, LongRecording, Stretch, cut_recordings
from cse.engines.engine import Engine
from cse.history import Turn
from cse.manifest import Utterance, write_manifest

REPORT = "left_out.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedTurn:
    """What somebody said, and where it is in the recording.

    Attributes:
        id: Of the utterance.
        speaker: Unique in the corpus.
        text: May be empty: then it is heard, but is nobody's history.
        start_s: None, with `end_s`, where nobody knows where it is: then it is history, but no utterance.
        end_s: Where it ends in the recording.
        channel: Of the recording; None is the mean of all.
    """

    id: str
    speaker: str
    text: str
    start_s: float | None
    end_s: float | None
    channel: int | None = None


@dataclass(frozen=True, kw_only=True)
class RecordedDialogue:
    """A recording with all its turns, oldest first."""

    name: str
    split: str
    recording: Path
    turns: tuple[RecordedTurn, ...]


def write_corpus(
    dialogues: Sequence[RecordedDialogue],
    manifest: Path,
    *,
    engine: Engine,
    report: Report,
    max_history_turns: int | None = None,
    max_left_out: float = 0.05,
) -> None:
    """Cut every dialogue into utterances, each with all turns before it as its history.

    Audio goes to `audio/SPLIT/DIALOGUE/ID.flac` beside the manifest, the report to `left_out.json`. What an earlier run
    has cut is kept.

    Args:
        dialogues: In the order of the manifest.
        manifest: The `utterances.jsonl` to write.
        engine: Where recordings are cut.
        report: Already holds what was left out in reading the corpus; the rest is added.
        max_history_turns: How many of the last turns an utterance carries; None is all.
        max_left_out: Largest share of utterances to leave out.

    Raises:
        ManifestError: More than that share would be left out (the report is written nevertheless), or two
            utterances have the same id.
        CseError: A folder cannot be written to.
    """
    manifest.parent.mkdir(parents=True, exist_ok=True)
    folder = manifest.resolve().parent / "audio"
    try:
        write_manifest(
            manifest, _utterances(dialogues, folder, engine, report, max_history_turns, max_left_out)
        )
    finally:
        report.write(manifest.parent / REPORT)


def _utterances(
    dialogues: Sequence[RecordedDialogue],
    folder: Path,
    engine: Engine,
    report: Report,
    max_history_turns: int | None,
    max_left_out: float,
) -> Iterator[Utterance]:
    """The utterances of all dialogues; fails at the end, before the manifest appears, where too much is left out."""
    cuts = cut_recordings((_recording(dialogue, folder) for dialogue in dialogues), engine=engine)
    progress = tqdm(zip(dialogues, cuts, strict=True), total=len(dialogues), unit="recording", disable=None)
    for dialogue, cut in progress:
        report.leave_out(cut.left_out)
        report.keep(_overlaps(dialogue))
        for utterance in _of_dialogue(dialogue, cut, max_history_turns):
            report.utterances += 1
            yield utterance
    report.check(max_left_out)


def _recording(dialogue: RecordedDialogue, folder: Path) -> LongRecording:
    place = folder / dialogue.split / dialogue.name
    stretches = tuple(
        Stretch(
            id=turn.id,
            start_s=turn.start_s,
            end_s=turn.end_s,
            output=place / f"{turn.id}.flac",
            channel=turn.channel,
        )
        for turn in dialogue.turns
        if turn.start_s is not None and turn.end_s is not None
    )
    return LongRecording(path=dialogue.recording, stretches=stretches)


def _of_dialogue(dialogue: RecordedDialogue, cut: Cut, max_history_turns: int | None) -> Iterator[Utterance]:
    history: list[Turn] = []
    for turn in dialogue.turns:
        file = cut.files.get(turn.id)
        if file is not None:
            first = 0 if max_history_turns is None else max(0, len(history) - max_history_turns)
            yield Utterance(
                id=turn.id,
                audio=file.path,
                speaker=turn.speaker,
                duration_s=file.duration_s,
                sample_rate=file.sample_rate,
                text=turn.text or None,
                dialogue=dialogue.name,
                history=tuple(history[first:]),
                split=dialogue.split,
            )
        if turn.text:
            history.append(Turn(turn.text, turn.speaker))


def _overlaps(dialogue: RecordedDialogue) -> Iterator[LeftOut]:
    """Turns that begin, on their channel, before the one before them is over: both files hold what lies between."""
    ends: dict[int | None, float] = {}
    for turn in dialogue.turns:
        if turn.start_s is None or turn.end_s is None:
            continue
        end = ends.get(turn.channel, 0.0)
        if turn.start_s < end and turn.start_s < turn.end_s:
            overlap_s = min(end, turn.end_s) - turn.start_s
            yield LeftOut(turn.id, "overlap", f"begins {overlap_s:.2f} s before the turn before it is over")
        ends[turn.channel] = max(end, turn.end_s)
