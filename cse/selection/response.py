"""The offline scorer: which text answers the last turns, learned from dialogues on top of sentence embeddings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cse.checkpoint import instantiate, load_checkpoint, load_state
from cse.errors import CheckpointError
from cse.history import Turn
from cse.selection.sentences import EMBEDDING_SIZE, SentenceEncoder

PACKAGED_HEAD = Path(__file__).parents[1] / "pretrained" / "response-head.safetensors"


class ResponseHead(nn.Module):
    """Turns embeddings of sentences so that a conversation points to what is said next, rather than to its topic.

    An answer is often unlike its question ("For what?", "I need to pay my bills."). Three matrices, one for the
    recent turns, one for the very last, one for the answer, are trained to tell the right answer from other ones.
    Henderson et al., "Efficient natural language response suggestion for Smart Reply", arXiv 1705.00652.

    Args:
        size: Of the space in which conversation and answer meet.
        max_turns: How many of the last turns K are read.
        dropout: In training.
    """

    def __init__(self, *, size: int = 256, max_turns: int = 8, dropout: float = 0.2) -> None:
        super().__init__()
        self.context = nn.Linear(EMBEDDING_SIZE, size, bias=False)
        self.last = nn.Linear(EMBEDDING_SIZE, size, bias=False)
        self.response = nn.Linear(EMBEDDING_SIZE, size, bias=False)
        self.recency = nn.Parameter(np.log(0.7) * torch.arange(max_turns, dtype=torch.float32))
        self.dropout = nn.Dropout(dropout)
        # it begins as a projection of the cosine between answer and recent turns
        nn.init.orthogonal_(self.context.weight)
        self.response.weight.data.copy_(self.context.weight.data)
        nn.init.zeros_(self.last.weight)

    @property
    def max_turns(self) -> int:
        """How many of the last turns are read."""
        return len(self.recency)

    def forward(self, turns: Tensor, mask: Tensor, responses: Tensor) -> Tensor:
        """Compare each conversation with each response.

        Args:
            turns: (B, K, D) embeddings of the last turns, latest first.
            mask: (B, K) bool, True where there is a turn; everyone has a last turn.
            responses: (N, D) embeddings of texts.

        Returns:
            (B, N) cosines.
        """
        weights = self.recency.masked_fill(~mask, -torch.inf).softmax(dim=-1)
        recent = (weights.unsqueeze(-1) * turns).sum(dim=1)
        context = self.context(self.dropout(recent)) + self.last(self.dropout(turns[:, 0]))
        response = self.response(self.dropout(responses))
        return nn.functional.normalize(context, dim=-1) @ nn.functional.normalize(response, dim=-1).T


class ResponseScorer:
    """Scores a text by how well it answers the last turns, by sentence embeddings and a head trained on dialogues.

    Args:
        head: A file or folder with a `ResponseHead`; None is the packaged one.
        encoder: Embeds sentences; None loads the offline one.
        device: Where the offline encoder runs.

    Raises:
        MissingExtraError: the package with the encoder's weights is not installed.
        CheckpointError: the head or the encoder's weights are missing or damaged.
    """

    name = "minilm-response"

    def __init__(
        self,
        *,
        head: str | os.PathLike[str] | None = None,
        encoder: SentenceEncoder | None = None,
        device: str = "cpu",
    ) -> None:
        checkpoint = load_checkpoint(head if head is not None else PACKAGED_HEAD)
        network = instantiate(checkpoint.config["model"])
        if not isinstance(network, ResponseHead):
            raise CheckpointError(
                f"{checkpoint.name}: got a {type(network).__name__}, expected a ResponseHead"
            )
        load_state(network, checkpoint.state)
        self._head = network.eval().requires_grad_(False)
        self._encoder = encoder if encoder is not None else SentenceEncoder(device=device)
        self.max_turns = network.max_turns

    def score(
        self, history: Sequence[Turn], candidates: Sequence[str], *, next_speaker: str | None = None
    ) -> np.ndarray:
        """Cosine between what the conversation calls for and each candidate.

        Args:
            history: Turns, oldest first.
            candidates: S texts.
            next_speaker: Makes no difference here.

        Returns:
            (S,) float64 in -1…1; 0 for a candidate without words, and where there is no history.
        """
        recent = [turn.text for turn in history[-self.max_turns :]][::-1]
        spoken = [number for number, text in enumerate(candidates) if text.strip()]
        scores = np.zeros(len(candidates))
        if not recent or not spoken:
            return scores
        embeddings = torch.from_numpy(
            self._encoder.embed([*recent, *(candidates[number] for number in spoken)])
        )
        turns = torch.zeros(1, self.max_turns, EMBEDDING_SIZE)
        turns[0, : len(recent)] = embeddings[: len(recent)]
        mask = torch.arange(self.max_turns).unsqueeze(0) < len(recent)
        with torch.inference_mode():
            scores[spoken] = self._head(turns, mask, embeddings[len(recent) :])[0].double().numpy()
        return scores
