"""The text dialogues: four fifths to train on, one fifth to calibrate on, the development set for neither."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from itertools import accumulate
from pathlib import Path

from cse.history import Turn

UNSEEN = {"dailytalk-0", "dailytalk-1"}  # development set


def read_dialogues(
    folder: Path, *, held_out: bool, max_turns: int, rng: random.Random
) -> dict[str, list[list[Turn]]]:
    """Dialogues of each corpus, `max_turns` turns in all, of the fifth that is held out from training or of the rest.

    Returns:
        By name of the corpus, dialogues of at least three turns.
    """
    corpora = {}
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            entries = [json.loads(line) for line in file]
        entries = [
            entry
            for entry in entries
            if entry["id"] not in UNSEEN
            and len(entry["turns"]) > 2
            and (zlib.crc32(entry["id"].encode()) % 5 == 0) == held_out
        ]
        rng.shuffle(entries)
        ends = accumulate(len(entry["turns"]) for entry in entries)
        chosen = [entry for entry, end in zip(entries, ends, strict=True) if end <= max_turns]
        corpora[path.name.removesuffix(".jsonl.gz")] = [
            [Turn(turn["text"], turn["speaker"]) for turn in entry["turns"]] for entry in chosen
        ]
    return corpora
