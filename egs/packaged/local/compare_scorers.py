"""Let the packaged scorer and a causal language model choose between two turns, on dialogues that no training has seen.

Two turns, who speaks next, and then the right text beside a turn of another held-out dialogue of the same corpus, both
as written. `measure_scorer.py` compares with all other turns at once, which takes a language model too long.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dialogues import Dialogue, development_dialogues, read_dialogues, split
from tqdm import tqdm

from cse.errors import CseError
from cse.evaluation.statistics import wilson_interval
from cse.files import write_text
from cse.history import Turn
from cse.selection.causal_lm import CausalLMScorer
from cse.selection.next_turn import DEFAULT_SCORER, NextTurnScorer
from cse.selection.scorer import Scorer

TURNS = 2


class Choice(NamedTuple):
    """What was said after a history, and what somebody said elsewhere."""

    history: tuple[Turn, ...]
    speaker: str | None
    said: str
    other: str


def after(dialogue: Dialogue, position: int, other: Turn) -> Choice:
    """The choice between the turn at a position and another one."""
    turn = dialogue.turns[position]
    return Choice(dialogue.turns[position - TURNS : position], turn.speaker, turn.text, other.text)


def drawn(dialogues: Sequence[Dialogue], choices: int, rng: random.Random) -> list[Choice]:
    """So many choices between turns of all dialogues."""
    turns = [(dialogue, position) for dialogue in dialogues for position in range(TURNS, len(dialogue.turns))]
    found = []
    for _ in range(choices):
        (dialogue, position), (elsewhere, there) = rng.choice(turns), rng.choice(turns)
        found.append(after(dialogue, position, elsewhere.turns[there]))
    return found


def development(data: Path) -> list[Choice]:
    """Every turn of DailyTalk's first two dialogues beside every turn that the other speaker says in the other one."""
    dialogues = development_dialogues(data)
    return [
        after(dialogue, position, other)
        for dialogue, elsewhere in (dialogues, dialogues[::-1])
        for position in range(TURNS, len(dialogue.turns))
        for other in elsewhere.turns
        if other.speaker != dialogue.turns[position].speaker
    ]


def right(scorer: Scorer, choices: Sequence[Choice], name: str) -> int:
    """How many of the choices are right."""
    count = 0
    for choice in tqdm(choices, desc=name, unit="choice", leave=False):
        own, other = scorer.score(
            choice.history, [choice.said, choice.other], next_speaker=choice.speaker
        ).tolist()
        count += own > other
    return count


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with dialogues/*.jsonl.gz")
    parser.add_argument(
        "--scorer", help="folder of a causal language model; none is the packaged scorer alone"
    )
    parser.add_argument("--model", default=DEFAULT_SCORER, help="the packaged scorer (%(default)s)")
    parser.add_argument("--choices", type=int, default=150, help="of each corpus (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()

    rng = random.Random(options.seed)
    sets = {"development": development(options.data)}
    for corpus, dialogues in read_dialogues(options.data).items():
        sets[corpus] = drawn(split(dialogues)[1], options.choices, rng)
    scorers: dict[str, Scorer] = {"next-turn": NextTurnScorer(model=options.model)}
    if options.scorer is not None:
        scorers["language model"] = CausalLMScorer(options.scorer, dtype="float32")
    rows = []
    for name, scorer in scorers.items():
        for corpus, choices in sets.items():
            count = right(scorer, choices, f"{name}, {corpus}")
            low, high = wilson_interval(count, len(choices))
            rows.append(
                {"scorer": name, "corpus": corpus, "right": count, "n": len(choices), "ci95": [low, high]}
            )
            print(
                f"{name:14} {corpus:12} {count / len(choices):4.0%} [{low:.0%}, {high:.0%}] of {len(choices)}"
            )
    write_text(options.output, json.dumps(rows, indent=1) + "\n")
    print(options.output)


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
