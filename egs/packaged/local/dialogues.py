"""Text dialogues for the scorer: which there are, and which of them are not for training."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recognition_errors import spoken_words

from cse.errors import CseError
from cse.history import Turn

UNSEEN_IDS = frozenset({"dailytalk-0", "dailytalk-1"})
"""Of the two DailyTalk dialogues with audio, the development set."""

HELD_OUT_SHARE = 0.1
_LONG_TURN = 4  # words; shorter turns are the same in many dialogues


@dataclass(frozen=True)
class Dialogue:
    """A conversation, its corpus, and whether it is kept for development."""

    id: str
    corpus: str
    turns: tuple[Turn, ...]

    @property
    def held_out(self) -> bool:
        """True for one dialogue in ten, by a hash of the id."""
        digest = hashlib.sha256(self.id.encode()).digest()
        return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32


def read_dialogues(data: Path) -> dict[str, list[Dialogue]]:
    """All dialogues of two turns or more by corpus, without those of the development set.

    Args:
        data: Folder with dialogues/*.jsonl.gz, and with corpora/DailyTalk where that is there: nothing with the
            same turns is returned, whatever its id.

    Raises:
        CseError: There are no dialogues in the folder.
    """
    paths = sorted((data / "dialogues").glob("*.jsonl.gz"))
    if not paths:
        raise CseError(f"{data / 'dialogues'}: got no file *.jsonl.gz, expected dialogues as JSON Lines")
    found = {path.name.removesuffix(".jsonl.gz"): _read(path) for path in paths}
    unseen = [_turns(dialogue) for own in found.values() for dialogue in own if dialogue.id in UNSEEN_IDS]
    unseen += [_turns(dialogue) for dialogue in development_dialogues(data)]
    return {
        corpus: [
            one for one in own if one.id not in UNSEEN_IDS and len(one.turns) > 1 and not _like(one, unseen)
        ]
        for corpus, own in found.items()
    }


def development_dialogues(data: Path) -> list[Dialogue]:
    """The two DailyTalk dialogues with audio, from data/corpora; an empty list where that is not there."""
    found = []
    for folder in sorted((data / "corpora" / "DailyTalk" / "data").glob("*")):
        files = sorted(folder.glob("*.txt"), key=lambda path: int(path.name.split("_")[0]))
        turns = tuple(
            Turn(path.read_text(encoding="utf-8").strip(), path.name.split("_")[1]) for path in files
        )
        found.append(Dialogue(f"dailytalk-{folder.name}", "dailytalk", turns))
    return found


def split(dialogues: Sequence[Dialogue]) -> tuple[list[Dialogue], list[Dialogue]]:
    """Training dialogues, and those held out; what has most of its turns from one held out is in neither."""
    held_out = [one for one in dialogues if one.held_out]
    long_turns = {words for one in held_out for words in _turns(one)}
    training = [one for one in dialogues if not one.held_out and _overlap(_turns(one), long_turns) <= 0.5]
    return training, held_out


def _read(path: Path) -> list[Dialogue]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    corpus = path.name.removesuffix(".jsonl.gz")
    return [
        Dialogue(
            entry["id"],
            corpus,
            tuple(
                Turn(turn["text"], str(turn["speaker"])) for turn in entry["turns"] if turn["text"].strip()
            ),
        )
        for entry in entries
    ]


def _like(dialogue: Dialogue, unseen: Iterable[set[tuple[str, ...]]]) -> bool:
    """True if a quarter of the longer turns of a dialogue, or two of them, are those of one of the unseen."""
    own = _turns(dialogue)
    for other in unseen:
        shared = own & other
        if len(shared) >= 2 or (shared and len(shared) / len(own) >= 0.25):
            return True
    return False


def _turns(dialogue: Dialogue) -> set[tuple[str, ...]]:
    words = (tuple(spoken_words(turn.text)) for turn in dialogue.turns)
    return {each for each in words if len(each) >= _LONG_TURN}


def _overlap(own: set[tuple[str, ...]], others: set[tuple[str, ...]]) -> float:
    return len(own & others) / len(own) if own else 0.0
