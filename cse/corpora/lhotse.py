"""lhotse manifests (cuts, or recordings and supervisions; JSON Lines, also gzipped), without lhotse itself."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cse.corpora.importing import UNKNOWN_SPEAKER, in_time_order
from cse.corpora.recorded import RecordedDialogue, RecordedTurn
from cse.corpora.report import Report
from cse.corpora.segments import LeftOut
from cse.errors import ManifestError


def read_lhotse(
    paths: Sequence[Path], *, split: str, audio_root: Path, report: Report
) -> list[RecordedDialogue]:
    """Read manifests; each recording is a dialogue, its supervisions are the turns, whichever cuts they are in.

    A cut may hold several supervisions, and several cuts the same one. A supervision without a speaker is history for
    those after it, and no utterance.

    Args:
        paths: Files of cuts, or of recordings and of supervisions, in any order.
        split: Of all utterances.
        audio_root: What relative paths are relative to.
        report: Gets what cannot be used: mixed cuts, supervisions without a speaker or recording, recordings that are
            to be transformed when they are read.

    Returns:
        Recordings in the order of their first appearance, those without supervisions left out.

    Raises:
        ManifestError: A file that cannot be read, or with every wrong line; audio that is no file: a shell command, a
            web address, bytes in the manifest. Nothing is executed or downloaded.
    """
    reader = _Reader(audio_root, report)
    problems = []
    for path in paths:
        for number, line in _lines(path):
            try:
                reader.add(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
                problems.append(f"{path}:{number}: {what}; expected a cut, a recording or a supervision")
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise ManifestError(problems[0] + more, problems)
    return reader.dialogues(split)


@dataclass(frozen=True)
class _Source:
    """The file that holds some channels of a recording."""

    path: Path
    channels: tuple[int, ...]


@dataclass(frozen=True)
class _Supervision:
    """What somebody says in a recording; the channel is None where it is on several."""

    id: str
    start_s: float
    duration_s: float
    speaker: str | None
    text: str
    channel: int | None

    @classmethod
    def read(cls, line: dict[str, Any], *, offset_s: float) -> _Supervision:
        channels = line.get("channel", 0)
        channels = channels if isinstance(channels, list) else [channels]
        return cls(
            id=str(line["id"]),
            start_s=offset_s + float(line["start"]),
            duration_s=float(line["duration"]),
            speaker=str(line["speaker"]) if line.get("speaker") else None,
            text=" ".join(str(line.get("text") or "").split()),
            channel=int(channels[0]) if len(channels) == 1 else None,
        )

    def turn(self, source: _Source) -> RecordedTurn:
        """Where and what it is in a file; without a speaker only what it is."""
        heard = self.speaker is not None
        return RecordedTurn(
            id=self.id,
            speaker=self.speaker or UNKNOWN_SPEAKER,
            text=self.text,
            start_s=self.start_s if heard else None,
            end_s=self.start_s + self.duration_s if heard else None,
            channel=source.channels.index(self.channel) if self.channel in source.channels else None,
        )


class _Reader:
    """Collects recordings and what is said in them, line by line."""

    def __init__(self, audio_root: Path, report: Report) -> None:
        self._root = audio_root
        self._report = report
        self._sources: dict[str, tuple[_Source, ...]] = {}
        self._supervisions: dict[str, dict[str, _Supervision]] = defaultdict(dict)

    def add(self, line: dict[str, Any]) -> None:
        """Take one line, of whichever of the three kinds."""
        if line.get("type") == "PaddingCut":
            return
        if line.get("type") == "MixedCut" or "tracks" in line:
            self._leave_out(str(line["id"]), "mixed cut", "has several recordings on top of another")
        elif "sources" in line:
            self._add_recording(line)
        elif "recording_id" in line:
            self._add_supervision(line, offset_s=0.0)
        else:
            self._add_cut(line)

    def dialogues(self, split: str) -> list[RecordedDialogue]:
        """One dialogue for each file; of a recording in several files, each has the turns of all as history."""
        dialogues = []
        for name, supervisions in self._supervisions.items():
            turns: list[tuple[float, RecordedTurn, Path]] = []
            for supervision in supervisions.values():
                source = self._source(name, supervision)
                if source is not None:
                    turns.append((supervision.start_s, supervision.turn(source), source.path))
            for path in dict.fromkeys(path for _, _, path in turns):
                heard = [(start_s, turn if own == path else _unheard(turn)) for start_s, turn, own in turns]
                dialogues.append(
                    RecordedDialogue(name=name, split=split, recording=path, turns=in_time_order(heard))
                )
        return dialogues

    def _add_cut(self, cut: dict[str, Any]) -> None:
        # times of a cut's supervisions count from its beginning
        start_s, supervisions = float(cut["start"]), cut["supervisions"]
        if cut.get("recording") is None:
            self._leave_out(str(cut["id"]), "no recording", "has no audio, only features")
            return
        self._add_recording(cut["recording"])
        for supervision in supervisions:
            self._add_supervision(supervision, offset_s=start_s)

    def _add_recording(self, recording: dict[str, Any]) -> None:
        name = str(recording["id"])
        if name in self._sources:
            return
        if recording.get("transforms"):
            self._leave_out(name, "transformed", "is to be changed when it is read")
            self._sources[name] = ()
            return
        for source in recording["sources"]:
            if source["type"] != "file":
                raise ValueError(f"{name}: got audio of type {source['type']!r}, which is not run or fetched")
        self._sources[name] = tuple(
            _Source(self._root / source["source"], tuple(map(int, source["channels"])))
            for source in recording["sources"]
        )

    def _add_supervision(self, line: dict[str, Any], *, offset_s: float) -> None:
        supervision = _Supervision.read(line, offset_s=offset_s)
        known = self._supervisions[str(line["recording_id"])]
        if supervision.speaker is None and supervision.id not in known:
            self._leave_out(supervision.id, "no speaker", "does not say who speaks")
        known.setdefault(supervision.id, supervision)

    def _source(self, recording: str, supervision: _Supervision) -> _Source | None:
        sources = self._sources.get(recording)
        if sources is None:
            self._leave_out(supervision.id, "no recording", f"is of {recording}, which is no recording's id")
        if not sources:
            return None
        return next((source for source in sources if supervision.channel in source.channels), sources[0])

    def _leave_out(self, name: str, kind: str, reason: str) -> None:
        self._report.leave_out([LeftOut(name, kind, reason)])


def _unheard(turn: RecordedTurn) -> RecordedTurn:
    """The same turn for those who only read it."""
    return replace(turn, start_s=None, end_s=None)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding="utf-8") if zipped else path.open(encoding="utf-8") as text:
            for number, line in enumerate(text, start=1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: got bytes that are no UTF-8, expected JSON Lines") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ManifestError(
            f"{path}: cannot read: {reason}; expected a lhotse manifest (JSON Lines)"
        ) from error
