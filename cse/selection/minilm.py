"""The offline scorer: nearness of sentence embeddings, with the weights that a package carries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cse.encoders.feature_cache import FeatureCache
from cse.encoders.sources import MINILM, MINILM_SHA256
from cse.encoders.text import TextEncoder
from cse.encoders.voice import unit
from cse.history import Turn

EMBEDDING_SIZE = 384
MAX_TOKENS = 256


class MiniLMScorer:
    """Scores a text by how near its meaning is to that of the last turns, in 22 million parameters.

    The score is the cosine between the sentence embedding of the candidate and the mean of the turns'
    embeddings, in which each turn back counts `recency` times as much as the one after it. Embeddings are
    kept (by a hash of the text, never the text), so that the next message of a chat costs one encoding.

    Reimers and Gurevych, "Sentence-BERT: sentence embeddings using Siamese BERT-networks", EMNLP 2019; Wang
    et al., "MiniLM: deep self-attention distillation for task-agnostic compression of pre-trained
    transformers", NeurIPS 2020.

    Args:
        max_turns: How many of the last turns count.
        recency: Weight of a turn relative to the one after it, 0 to 1.
        cache_size: Number of embeddings kept, 1.5 kB each.
        device: Where the encoder runs, e.g. "cpu" or "cuda".

    Raises:
        MissingExtraError: the package with the weights is not installed.
        CheckpointError: its weights are not the published ones.
    """

    name = "minilm"

    def __init__(
        self, *, max_turns: int = 10, recency: float = 0.7, cache_size: int = 4096, device: str = "cpu"
    ) -> None:
        self.max_turns = max_turns
        self._recency = recency
        self._device = device
        self._encoder = TextEncoder(
            source=MINILM, sha256=MINILM_SHA256, width=EMBEDDING_SIZE, max_tokens=MAX_TOKENS
        )
        self._encoder.load()
        self._cache = FeatureCache(memory_bytes=cache_size * EMBEDDING_SIZE * 4)

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
        embeddings = self.embed([turn.text for turn in recent] + [candidates[number] for number in spoken])
        weights = self._recency ** np.arange(len(recent))[::-1]
        centre = weights @ embeddings[: len(recent)].astype(np.float64)
        scores[spoken] = embeddings[len(recent) :] @ (centre / np.linalg.norm(centre))
        return scores

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Sentence embeddings, (n, 384) float32 of length 1; of a text beyond 256 tokens the end is read."""
        if not texts:
            return np.zeros((0, EMBEDDING_SIZE), np.float32)
        made_by = f"{self._encoder.identity}/mean"
        means = self._cache.features(texts, made_by=made_by, compute=self._encode)
        return np.stack([unit(mean[0]) for mean in means])

    def _encode(self, texts: list[str]) -> list[np.ndarray]:
        states = self._encoder.encode(texts, device=self._device)
        return [each.mean(0, keepdim=True).cpu().numpy() for each in states]
