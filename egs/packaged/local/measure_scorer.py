"""Measure how often a scorer prefers what was really said, on dialogues that no training has seen.

Every item is a choice between the turn that came next and a turn of another conversation: a random one of the same
corpus, or a hard one (among the five nearest to the right one by MiniLM). The plain MiniLM cosine, and the same network
without the correction for what fits anywhere, stand beside it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from dialogues import Dialogue, development_dialogues, read_dialogues, split
from recognition_errors import RecognitionErrors, spoken_words
from scorer_features import pick
from tqdm import tqdm

from cse.errors import CseError
from cse.evaluation.statistics import wilson_interval
from cse.files import write_text
from cse.history import Turn
from cse.selection.minilm import MiniLMScorer
from cse.selection.next_turn import DEFAULT_SCORER, NextTurnScorer
from cse.selection.scorer import Scorer

HISTORY_TURNS = (1, 2, 5, 10)
ERROR_RATES = (0.0, 0.1, 0.3, 0.6)
NEAREST = 5


@dataclass(frozen=True)
class Item:
    """What was said after a history, as heard at each of the error rates."""

    dialogue: str
    history: tuple[Turn, ...]
    said: str
    heard: tuple[str, ...]


def make_items(
    dialogues: Sequence[Dialogue], errors: RecognitionErrors, *, min_turns: int, rng: random.Random
):
    """One item for each turn that has so many before it, and has words."""
    items = []
    for dialogue in dialogues:
        for position in range(min_turns, len(dialogue.turns)):
            said = dialogue.turns[position].text
            heard = tuple(
                " ".join(word for word, _ in errors.hear(said, rate, rng)) if rate else said
                for rate in ERROR_RATES
            )
            if spoken_words(said):
                items.append(Item(dialogue.id, dialogue.turns[:position], said, heard))
    return items


def distractors(items: Sequence[Item], cosine: MiniLMScorer, rng: random.Random) -> dict[str, list[int]]:
    """For each item another one of another dialogue: any, and one that says something similar."""
    embeddings = cosine.embed([item.said for item in items])
    words = [" ".join(spoken_words(item.said)) for item in items]
    found: dict[str, list[int]] = {"random": [], "hard": []}
    for number, item in enumerate(items):
        others = [
            other
            for other in range(len(items))
            if items[other].dialogue != item.dialogue and words[other] != words[number]
        ]
        found["random"].append(rng.choice(others))
        order = np.argsort(-embeddings[others] @ embeddings[number], kind="stable")[:NEAREST]
        found["hard"].append(others[int(rng.choice(order.tolist()))])
    return found


def margins(
    items: Sequence[Item], others: Sequence[int], scorer: Scorer, *, turns: int, rate: int
) -> np.ndarray:
    """Score of the right answer above that of the other one, for each item."""
    found = []
    for item, other in zip(items, others, strict=True):
        scores = scorer.score(item.history[-turns:], [item.heard[rate], items[other].heard[rate]])
        found.append(scores[0] - scores[1])
    return np.array(found)


def rate_of(margins: np.ndarray) -> dict[str, float | int | list[float]]:
    """Share of right choices, with its 95 % interval; a tie is half right."""
    right = float((margins > 0).sum() + 0.5 * (margins == 0).sum())
    low, high = wilson_interval(round(right), len(margins))
    return {"right": right / len(margins), "ci95": [low, high], "n": len(margins)}


def measure(
    items: Sequence[Item], scorers: dict[str, Scorer], cosine: MiniLMScorer, rng: random.Random
) -> list:
    """All conditions: by history, by error rate and by kind of the other turn; by words of the answer."""
    others = distractors(items, cosine, rng)
    words = np.array([len(spoken_words(item.said)) for item in items])
    rows = []
    for name, scorer in scorers.items():
        for kind in others:
            conditions = [(turns, 0) for turns in HISTORY_TURNS] + [
                (2, rate) for rate in range(1, len(ERROR_RATES))
            ]
            for turns, rate in tqdm(conditions, desc=f"{name}, {kind}", unit="condition", leave=False):
                found = margins(items, others[kind], scorer, turns=turns, rate=rate)
                row = {
                    "scorer": name,
                    "other": kind,
                    "turns": turns,
                    "wer": ERROR_RATES[rate],
                    "words": "all",
                }
                rows.append(row | rate_of(found))
                if turns == 2:
                    for label, low, high in (("1-2", 0, 2), ("3-5", 3, 5), ("6-", 6, 10**6)):
                        own = (words >= low) & (words <= high)
                        if own.any():
                            rows.append(row | {"words": label} | rate_of(found[own]))
    return rows


def all_against_all(items: Sequence[Item], scorer: Scorer, *, turns: int, rate: int = 0) -> np.ndarray:
    """Margins of each item that has so many turns before it over every turn of the other dialogues."""
    found = []
    for item in (one for one in items if len(one.history) >= turns):
        others = [other.heard[rate] for other in items if other.dialogue != item.dialogue]
        scores = scorer.score(item.history[-turns:], [item.heard[rate], *others])
        found.append(scores[0] - scores[1:])
    return np.concatenate(found)


def measure_development(
    data: Path,
    scorers: dict[str, Scorer],
    errors: RecognitionErrors,
    heard: Sequence[Path],
    rng: random.Random,
) -> list[dict]:
    """The two DailyTalk dialogues, all turns that have two before them: as written, with errors, as really heard."""
    items = make_items(development_dialogues(data), errors, min_turns=0, rng=rng)
    conditions = [(f"WER {wer:.0%}", items, rate) for rate, wer in enumerate(ERROR_RATES)]
    for path in heard:
        entries = json.loads(path.read_text(encoding="utf-8"))["utterances"]
        texts = {entry["id"]: entry["text"] for entry in entries}
        spoken = [
            replace(item, heard=(texts[f"d{item.dialogue[-1]}_{len(item.history)}"],)) for item in items
        ]
        conditions.append((path.stem, spoken, 0))
    rows = []
    for name, scorer in scorers.items() if items else ():
        for condition, own, rate in conditions:
            rows.append({"scorer": name, "turns": 2, "condition": condition})
            rows[-1] |= rate_of(all_against_all(own, scorer, turns=2, rate=rate))
            print(f"development, {name}, {condition}: {rows[-1]['right']:.1%} of {rows[-1]['n']}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with dialogues/*.jsonl.gz")
    parser.add_argument("--model", default=DEFAULT_SCORER, help="name or folder of the scorer (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--turns", type=int, default=500, help="turns of each corpus, about (%(default)s)")
    parser.add_argument(
        "--heard", type=Path, nargs="*", default=[], help="transcripts of the development set, JSON"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    rng = random.Random(options.seed)
    cosine = MiniLMScorer(cache_size=100_000)
    scorers: dict[str, Scorer] = {
        "next-turn": NextTurnScorer(model=options.model, minilm=cosine),
        "not corrected": NextTurnScorer(model=options.model, minilm=cosine, corrected=False),
        "minilm": cosine,
    }
    corpora = {corpus: split(own) for corpus, own in read_dialogues(options.data).items()}
    errors = RecognitionErrors(turn.text for own, _ in corpora.values() for one in own for turn in one.turns)
    result = {}
    for corpus, (_, held_out) in corpora.items():
        items = make_items(pick(held_out, options.turns, rng), errors, min_turns=1, rng=rng)
        if len({item.said for item in items}) < 2 or len({item.dialogue for item in items}) < 2:
            raise CseError(
                f"{corpus}: got {len(held_out)} held-out dialogues, expected two with different turns"
            )
        result[corpus] = measure(items, scorers, cosine, rng)
        show(corpus, result[corpus])
    result["development"] = measure_development(options.data, scorers, errors, options.heard, rng)
    write_text(options.output, json.dumps(result, indent=1) + "\n")
    print(options.output)


def show(corpus: str, rows: Sequence[dict]) -> None:
    """One line a condition."""
    for row in rows:
        print(
            f"{corpus:12} {row['scorer']:14} {row['other']:7} {row['turns']:2} turns, WER {row['wer']:4.0%}, "
            f"{row['words']:4} words: {row['right']:6.1%} [{row['ci95'][0]:.1%}, {row['ci95'][1]:.1%}] of {row['n']}",
            flush=True,
        )


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
