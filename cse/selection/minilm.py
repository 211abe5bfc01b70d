"""A scorer without training: nearness of meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cse.history import Turn
from cse.selection.sentences import SentenceEncoder


class MiniLMScorer:
    """Scores a text by how near its meaning is to that of the last turns.

    The score is the cosine between the sentence embedding of the candidate and the mean of the turns'
    embeddings, in which each turn back counts `recency` times as much as the one after it.

    Args:
        encoder: Embeds sentences; None loads the offline one.
        max_turns: How many of the last turns count.
        recency: Weight of a turn relative to the one after it, 0 to 1.
        device: Where the offline encoder runs.

    Raises:
        MissingExtraError: the package with the encoder's weights is not installed.
        CheckpointError: its weights are not the published ones.
    """

    name = "minilm"

    def __init__(
        self,
        *,
        encoder: SentenceEncoder | None = None,
        max_turns: int = 10,
        recency: float = 0.7,
        device: str = "cpu",
    ) -> None:
        self.max_turns = max_turns
        self._recency = recency
        self._encoder = encoder if encoder is not None else SentenceEncoder(device=device)

    def score(
        self, history: Sequence[Turn], candidates: Sequence[str], *, next_speaker: str | None = None
    ) -> np.ndarray:
        """Cosine between each candidate and the recent conversation.

        Args:
            history: Turns, oldest first.
            candidates: S texts.
            next_speaker: Makes no difference here.

        Returns:
            (S,) float64 in -1…1; 0 for a candidate without words, and where there is no history.
        """
        recent = history[-self.max_turns :]
        spoken = [number for number, text in enumerate(candidates) if text.strip()]
        scores = np.zeros(len(candidates))
        if not recent or not spoken:
            return scores
        embeddings = self._encoder.embed(
            [turn.text for turn in recent] + [candidates[number] for number in spoken]
        )
        weights = self._recency ** np.arange(len(recent))[::-1]
        centre = weights @ embeddings[: len(recent)].astype(np.float64)
        scores[spoken] = embeddings[len(recent) :] @ (centre / np.linalg.norm(centre))
        return scores
