"""Batches for the next-turn scorer: histories, what was said next, and what was not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from dialogues import Dialogue
from recognition_errors import spoken_words
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from cse.history import Turn
from cse.selection.next_turn import who_spoke

NEAR = (
    12  # turns of other dialogues that are kept for each turn, nearest to it and nearest to the turn before
)
_TOO_NEAR = 0.9  # cosine: the same thing in other words
ONE_CORPUS_SHARE = 0.7  # of the batches
_HISTORY_TURNS = (2, 1, 2, 3, 2, 4, 5, 2, 7, 10)  # as often as they stand here


@dataclass(frozen=True)
class Batch:
    """B histories and the N candidates of all of them.

    Attributes:
        history: Arguments of `NextTurnNetwork.contexts`.
        candidates: (N, 384).
        right: (B,) which candidate was said.
        wrong: (B, N) which ones were not; neither for what may be as right.
    """

    history: dict[str, Tensor]
    candidates: Tensor
    right: Tensor
    wrong: Tensor


class Turns:
    """All turns of some dialogues with their embeddings; draws batches of them.

    Args:
        dialogues: Their turns stand one after the other.
        embeddings: (2 · turns, 384), each turn as written and as heard.
        hard: Wrong candidates drawn for each history, beside the right ones of the other histories.
        kept: File of the neighbours, which is written where it is missing.
    """

    def __init__(
        self, dialogues: Sequence[Dialogue], embeddings: np.ndarray, *, hard: int, kept: Path
    ) -> None:
        self._written, self._heard = embeddings[0::2], embeddings[1::2]
        self._hard = hard
        self._turns = [turn for dialogue in dialogues for turn in dialogue.turns]
        self._dialogue = np.repeat(np.arange(len(dialogues)), [len(one.turns) for one in dialogues])
        self._first = np.searchsorted(self._dialogue, np.arange(len(dialogues) + 1))
        names = sorted({one.corpus for one in dialogues})
        self._corpus = np.array([names.index(one.corpus) for one in dialogues])[self._dialogue]
        self._text = np.array([" ".join(spoken_words(turn.text)) for turn in self._turns], dtype=object)
        self._kinds: dict[tuple[int, bool, int], list[int]] = {}
        for number in range(len(self._turns)):
            self._kinds.setdefault(self._kind(number), []).append(number)
        self.answers = np.flatnonzero(np.arange(len(self._turns)) > self._first[self._dialogue])
        if not kept.exists():
            np.save(kept, self._neighbours())
        self._near, self._near_before = np.load(kept)

    def draw(self, numbers: Sequence[int], rng: random.Random) -> Batch:
        """A batch whose right answers are these turns."""
        candidates, right = [], []
        for number in numbers:
            right.append(len(candidates))
            candidates += [number, *self._wrong(number, rng)]
        return Batch(
            self.histories(numbers, rng),
            torch.from_numpy(self._heard[candidates]),
            torch.tensor(right),
            self._is_wrong(numbers, candidates),
        )

    def answers_for(self, count: int, rng: random.Random) -> list[int]:
        """Numbers of the right answers of a batch, mostly all of one corpus: the others' are easily told from them."""
        answers = self.answers
        if rng.random() < ONE_CORPUS_SHARE:
            corpora = self._corpus[answers]
            answers = answers[corpora == rng.choice(corpora)]
        return rng.choices(answers.tolist(), k=count)

    def histories(self, numbers: Sequence[int], rng: random.Random) -> dict[str, Tensor]:
        """Contexts of these turns: 1 to 10 turns before each, names and the next speaker not always known."""
        parts = []
        for number in numbers:
            first = max(int(self._first[self._dialogue[number]]), number - rng.choice(_HISTORY_TURNS))
            turns, speaker = self._turns[first:number], self._turns[number].speaker
            if rng.random() < 0.1:
                turns = [Turn(turn.text) for turn in turns]
            told = who_spoke(turns, speaker if rng.random() < 0.5 else None)
            part = {name: torch.tensor(own) for name, own in told.items()}
            part |= {"turns": torch.from_numpy(self._written[first:number])}
            parts.append(part | {"mask": torch.ones(number - first, dtype=torch.bool)})
        return {name: pad_sequence([part[name] for part in parts], batch_first=True) for name in parts[0]}

    def _wrong(self, number: int, rng: random.Random) -> list[int]:
        """Similar turns of other dialogues, one of the same kind, and one from elsewhere in the dialogue, in turn."""
        begin, end = self._first[self._dialogue[number] :][:2]
        elsewhere = [other for other in range(begin, end) if other not in (number - 1, number)]
        draws = (
            lambda: int(rng.choice(self._near[number])),
            lambda: rng.choice(self._kinds[self._kind(number)]),
            lambda: int(rng.choice(self._near_before[number])),
            lambda: rng.choice(elsewhere or [rng.randrange(len(self._turns))]),
        )
        return [draws[place % len(draws)]() for place in range(self._hard)]

    def _is_wrong(self, numbers: Sequence[int], candidates: Sequence[int]) -> Tensor:
        other_words = self._text[candidates][None] != self._text[list(numbers)][:, None]
        same_dialogue = self._dialogue[candidates][None] == self._dialogue[list(numbers)][:, None]
        # of the same dialogue only what was drawn for this very history counts as wrong
        drawn = np.arange(len(candidates))[None] // (self._hard + 1) == np.arange(len(numbers))[:, None]
        return torch.from_numpy((other_words & (~same_dialogue | drawn)).astype(bool))

    def _kind(self, number: int) -> tuple[int, bool, int]:
        words = len(self._text[number].split())
        return int(self._corpus[number]), "?" in self._turns[number].text, int(np.log2(1 + words))

    def _neighbours(self) -> np.ndarray:
        """(2, turns, NEAR): of other dialogues of its corpus, those nearest to each turn, and to the turn before."""
        found = np.zeros((2, len(self._turns), NEAR), np.int64)
        for corpus in np.unique(self._corpus):
            own = np.flatnonzero(self._corpus == corpus)
            for start in tqdm(range(0, len(own), 512), desc="neighbours", unit="block"):
                rows = own[start : start + 512]
                found[0, rows] = self._nearest(self._written[rows], rows, own)
                found[1, rows] = self._nearest(self._written[np.maximum(rows - 1, 0)], rows, own)
        return found

    def _nearest(self, wanted: np.ndarray, rows: np.ndarray, own: np.ndarray) -> np.ndarray:
        cosine = wanted @ self._heard[own].T
        cosine[self._dialogue[rows][:, None] == self._dialogue[own][None]] = -1
        cosine[cosine > _TOO_NEAR] = -1
        count = min(NEAR, len(own) - 1)
        return np.resize(own[np.argpartition(-cosine, count, axis=1)[:, :count]].T, (NEAR, len(rows))).T
