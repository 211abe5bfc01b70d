"""Measure how often a scorer prefers what was really said, on dialogues that no training has seen.

Every turn of some held-out dialogues is compared with all turns of the other ones of its corpus ("any"), and with the
five of them that are nearest to it by MiniLM ("near"); an answer counts by the share of these that it is scored above.
The plain MiniLM cosine, and the same network without the correction for what fits anywhere, stand beside it.
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
WORDS = (("1-2", 0, 2), ("3-5", 3, 5), ("6-", 6, 10**6))


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


def others_of(items: Sequence[Item], cosine: MiniLMScorer) -> dict[str, np.ndarray]:
    """(items, items) bool: what each one is compared with: all turns of other dialogues, and those near to it."""
    dialogue = np.array([item.dialogue for item in items])
    words = np.array([" ".join(spoken_words(item.said)) for item in items])
    any_other = (dialogue[:, None] != dialogue[None]) & (words[:, None] != words[None])
    embeddings = cosine.embed([item.said for item in items])
    nearness = np.where(any_other, embeddings @ embeddings.T, -np.inf)
    border = np.sort(nearness, axis=1)[:, -NEAREST:].min(axis=1, keepdims=True)
    return {"any": any_other, "near": any_other & (nearness >= border)}


def shares(
    items: Sequence[Item], others: dict[str, np.ndarray], scorer: Scorer, *, turns: int, rate: int
) -> dict[str, np.ndarray]:
    """For each item with a history, the share of the others that it is scored above; a tie is half."""
    texts = [item.heard[rate] for item in items]
    histories = [item.history[-turns:] for item in items]
    if isinstance(scorer, NextTurnScorer):
        scores = scorer.score_all(histories, texts)
    else:
        scores = np.stack([scorer.score(history, texts) for history in histories])
    own = np.diagonal(scores)[:, None]
    above = (own > scores) + 0.5 * (own == scores)
    return {kind: (above * those).sum(1) / np.maximum(those.sum(1), 1) for kind, those in others.items()}


def rate_of(shares: np.ndarray) -> dict[str, float | int | list[float]]:
    """Mean share of right choices, with the 95 % interval of as many single choices as there are items."""
    low, high = wilson_interval(round(float(shares.sum())), len(shares))
    return {"right": float(shares.mean()), "ci95": [low, high], "n": len(shares)}


def measure(items: Sequence[Item], scorers: dict[str, Scorer], cosine: MiniLMScorer) -> list[dict]:
    """All conditions: by history, by error rate and by kind of the others; by words of the answer."""
    others = others_of(items, cosine)
    words = np.array([len(spoken_words(item.said)) for item in items])
    conditions = [(turns, 0) for turns in HISTORY_TURNS] + [(2, rate) for rate in range(1, len(ERROR_RATES))]
    rows = []
    for name, scorer in scorers.items():
        for turns, rate in tqdm(conditions, desc=name, unit="condition", leave=False):
            for kind, found in shares(items, others, scorer, turns=turns, rate=rate).items():
                row = {"scorer": name, "other": kind, "turns": turns, "wer": ERROR_RATES[rate]}
                rows.append(row | {"words": "all"} | rate_of(found))
                for label, low, high in WORDS if turns == 2 else ():
                    own = (words >= low) & (words <= high)
                    if own.any():
                        rows.append(row | {"words": label} | rate_of(found[own]))
    return rows


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
    words = np.array([len(spoken_words(item.said)) for item in items])
    after_two = np.array([len(item.history) >= 2 for item in items])
    dialogue = np.array([item.dialogue for item in items])
    others = {"any": dialogue[:, None] != dialogue[None]}
    rows = []
    for name, scorer in scorers.items() if items else ():
        for condition, own, rate in conditions:
            found = shares(own, others, scorer, turns=2, rate=rate)["any"]
            for label, low, high in (("all", 0, 10**6), *WORDS):
                kept = after_two & (words >= low) & (words <= high)
                rows.append({"scorer": name, "condition": condition, "words": label} | rate_of(found[kept]))
                print("development, {scorer}, {condition}, {words}: {right:.1%} of {n}".format(**rows[-1]))
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
        result[corpus] = measure(items, scorers, cosine)
        show(corpus, result[corpus])
    result["development"] = measure_development(options.data, scorers, errors, options.heard, rng)
    write_text(options.output, json.dumps(result, indent=1) + "\n")
    print(options.output)


def show(corpus: str, rows: Sequence[dict]) -> None:
    """One line a condition."""
    for row in rows:
        print(
            f"{corpus:12} {row['scorer']:14} {row['other']:4} {row['turns']:2} turns, WER {row['wer']:4.0%}, "
            f"{row['words']:4} words: {row['right']:6.1%} [{row['ci95'][0]:.1%}, {row['ci95'][1]:.1%}] of {row['n']}",
            flush=True,
        )


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
