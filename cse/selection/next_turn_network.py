"""The network of the next-turn scorer: how well words continue a conversation, from sentence embeddings."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SPEAKERS = 3
"""Whether a turn's speaker is a given one: unknown, another one, the same."""


class NextTurnNetwork(nn.Module):
    """Compares candidates with a history, and with what else could have come before them.

    The turns of the history meet in a small transformer, which leaves a few context codes: weighted means of the
    turns' embeddings, and what the transformer adds to them. A candidate becomes its embedding and what a perceptron
    adds to it, looks at the codes and is compared with their mean under its attention (poly-encoder). Training begins
    at the cosine between embeddings, and ends with log-odds against turns of other conversations.

    Humeau et al., "Poly-encoders: architectures and pre-training strategies for fast and accurate multi-sentence
    scoring", ICLR 2020.

    Args:
        input_size: Width of the sentence embeddings, D.
        size: Width of the transformer and the perceptron.
        layers: Transformer layers over the turns, and layers of the candidate's network.
        heads: Attention heads of each.
        codes: Vectors that a history becomes, M.
        max_turns: How many turns back are told apart.
        references: Contexts of other conversations to compare with, R; set by `remember`.
        dropout: In training.

    Example:
        >>> network = NextTurnNetwork(input_size=8, size=16, layers=1, heads=2, codes=2, references=3)
        >>> turns, mask = torch.randn(1, 5, 8), torch.ones(1, 5, dtype=torch.bool)
        >>> unknown = torch.zeros(1, 5, dtype=torch.long)
        >>> context = network.contexts(turns, mask, ages=unknown, last=unknown, following=unknown)
        >>> network.gain(context, network.candidates(torch.randn(2, 8))).shape
        torch.Size([1, 2])
    """

    references: Tensor

    def __init__(
        self,
        *,
        input_size: int = 384,
        size: int = 144,
        layers: int = 2,
        heads: int = 4,
        codes: int = 4,
        max_turns: int = 10,
        references: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.max_turns = max_turns
        self.turn_in = nn.Linear(input_size, size)
        self.candidate_in = nn.Linear(input_size, size)
        self.age = nn.Embedding(max_turns, size)
        self.last = nn.Embedding(SPEAKERS, size)
        self.following = nn.Embedding(SPEAKERS, size)
        self.turn_layers = nn.ModuleList(
            nn.TransformerEncoderLayer(size, heads, 2 * size, dropout, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.candidate_layers = nn.ModuleList(_Residual(size, dropout) for _ in range(layers))
        self.queries = nn.Parameter(torch.randn(codes, size) / size)
        # at first some codes are the last turn, others a mean in which a turn counts 0.7 as much as the one after it
        fading = torch.tensor([0.7, 0.2]).log().repeat(codes)[:codes]
        self.recency = nn.Parameter(fading.unsqueeze(1) * torch.arange(max_turns))
        self.context_out = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, input_size))
        self.candidate_out = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, input_size))
        self.log_scale = nn.Parameter(torch.tensor(math.log(12.0)))
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(4.0)))
        self.correction = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("references", torch.zeros(references, codes, input_size))
        for layer in (*self.context_out, *self.candidate_out):
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.1 / math.sqrt(size * input_size))
                nn.init.zeros_(layer.bias)

    def contexts(
        self, turns: Tensor, mask: Tensor, *, ages: Tensor, last: Tensor, following: Tensor
    ) -> Tensor:
        """Read histories.

        Args:
            turns: (B, K, D) sentence embeddings of length 1, oldest first.
            mask: (B, K) True for turns, False for padding.
            ages: (B, K) how many turns come after each.
            last: (B, K) whether its speaker is the last turn's: 0 unknown, 1 no, 2 yes.
            following: (B, K) whether its speaker is the one who speaks next, likewise.

        Returns:
            (B, M, D) codes of length 1.
        """
        scaled = turns * math.sqrt(turns.shape[-1])
        states = self.turn_in(scaled) + self.age(ages) + self.last(last) + self.following(following)
        for layer in self.turn_layers:
            states = layer(states, src_key_padding_mask=~mask)
        looks = torch.einsum("mw,bkw->bmk", self.queries, states) + self.recency[:, ages].transpose(0, 1)
        looks = looks.masked_fill(~mask.unsqueeze(1), -torch.inf).softmax(-1)
        return F.normalize(F.normalize(looks @ turns, dim=-1) + self.context_out(looks @ states), dim=-1)

    def candidates(self, texts: Tensor) -> Tensor:
        """Read candidates: sentence embeddings (N, D) of length 1 to (N, D), of length 1 too."""
        states = self.candidate_in(texts * math.sqrt(texts.shape[-1]))
        for layer in self.candidate_layers:
            states = layer(states)
        return F.normalize(texts + self.candidate_out(states), dim=-1)

    def compare(self, contexts: Tensor, candidates: Tensor) -> Tensor:
        """How well each of N candidates (N, D) goes with each of B contexts (B, M, D), with fluency in it: (B, N)."""
        nearness = torch.einsum("bmw,nw->bnm", contexts, candidates)
        attention = torch.softmax(self.log_sharpness.exp() * nearness, dim=-1)
        return self.log_scale.exp() * (attention * nearness).sum(-1)

    def gain(self, contexts: Tensor, candidates: Tensor) -> Tensor:
        """What the history adds for each candidate: (B, N), above 0 where it fits better than elsewhere."""
        return self.corrected(self.compare(contexts, candidates), self.anywhere(candidates))

    def corrected(self, scores: Tensor, anywhere: Tensor) -> Tensor:
        """Take as much of what candidates get anywhere (N,) off their scores (B, N) as did best in training."""
        return scores - self.correction * anywhere

    def anywhere(self, candidates: Tensor) -> Tensor:
        """What each candidate (N, D) gets in the contexts of other conversations: (N,)."""
        scores = self.compare(self.references, candidates)
        return torch.logsumexp(scores, dim=0) - math.log(len(scores))

    def remember(self, contexts: Tensor) -> None:
        """Take (R, M, D) codes of other conversations to compare with."""
        with torch.no_grad():
            self.references.copy_(contexts)


class _Residual(nn.Module):
    """A layer of a perceptron on top of what comes in."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.LayerNorm(size),
            nn.Linear(size, 2 * size),
            nn.GELU(),
            nn.Linear(2 * size, size),
            nn.Dropout(dropout),
        )

    def forward(self, states: Tensor) -> Tensor:
        return states + self.inner(states)
