"""The text cue: the dialogue history as tokens."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cse.encoders.feature_cache import FeatureCache
from cse.encoders.lora import LoRATextEncoder
from cse.encoders.text import TextEncoder
from cse.history import Turn, likely_next_speaker
from cse.models.cues.cue import Cue
from cse.models.cues.pooling.pooling import Conversation, Pooling


class TextCue(nn.Module):
    """Tells a network what was said before: history -> hidden states of a language model -> K tokens of width D.

    A history without words is missing: its mask is False and its tokens zeros. What a frozen encoder makes of a
    text is kept, in memory, and in `cache_dir` where that is set; K and the tokens of an item never depend on the
    other items. A frozen encoder is in no state dict; of a tuned one, what is tuned is.

    Args:
        encoder: Text to hidden states.
        pooling: Hidden states to tokens; says how many turns are read.

    Attributes:
        width: D.

    Raises:
        ValueError: If the pooling was made for hidden states of another width.

    Example:
        >>> from cse.models.cues.pooling.turns import Turns
        >>> encoder = TextEncoder(source="package:all-MiniLM-L6-v2", width=384, max_tokens=256)
        >>> cue = TextCue(encoder=encoder, pooling=Turns(max_turns=3, width=384))
        >>> found = cue([[Turn("Where shall we meet?", "Ana"), Turn("At noon?", "Ana")], []])
        >>> found.tokens.shape, found.mask.tolist()
        (torch.Size([2, 3, 384]), [[False, True, True], [False, False, False]])
    """

    _here: Tensor

    def __init__(self, *, encoder: TextEncoder | LoRATextEncoder, pooling: Pooling) -> None:
        super().__init__()
        if pooling.width not in (None, encoder.width):
            raise ValueError(
                f"the encoder has hidden states of width {encoder.width}, the pooling was made for {pooling.width}: "
                "expected the same; set `width` of both alike"
            )
        self.encoder = encoder
        self.pooling = pooling
        self.width = encoder.width
        self._cache = FeatureCache()
        # knows the device where no weight does
        self.register_buffer("_here", torch.zeros(()), persistent=False)

    @property
    def tokens(self) -> int:
        """K."""
        return self.pooling.tokens

    @property
    def max_turns(self) -> int:
        """How many of the last turns are read."""
        return self.pooling.max_turns

    @property
    def cache_dir(self) -> Path | None:
        """Folder where what was made of a text is kept for other epochs, runs and processes; None for memory only."""
        return self._cache.folder

    @cache_dir.setter
    def cache_dir(self, folder: str | os.PathLike[str] | None) -> None:
        self._cache = FeatureCache(folder=folder)

    def forward(
        self,
        histories: Sequence[Sequence[Turn] | None],
        next_speakers: Sequence[str | None] | None = None,
    ) -> Cue:
        """Encode B histories.

        Args:
            histories: Turns each, oldest first; None or no words is a missing one.
            next_speakers: Whose voice is wanted, B names as the turns have them; None is guessed from the turns.

        Returns:
            (B, K, D) on the device of the module, the newest token last.

        Raises:
            CheckpointError: The encoder cannot be loaded, or is not what its arguments say.
            MissingExtraError: The package that carries it is not installed.
            CseError: `cache_dir` cannot be used.
        """
        conversations = [
            _conversation(history or [], speaker)
            for history, speaker in zip(histories, next_speakers or [None] * len(histories), strict=True)
        ]
        texts = [self.pooling.texts(conversation) for conversation in conversations]
        features = iter(self._features([text for some in texts for text in some]))
        rows = [torch.cat([next(features) for _ in some]) if some else None for some in texts]
        tokens, mask = self._aligned(rows)
        return self.pooling(tokens, mask, conversations)

    def _features(self, texts: list[str]) -> list[Tensor]:
        """What the pooling's `reduce` makes of each text, (k, D)."""
        if not texts:
            return []
        if isinstance(self.encoder, LoRATextEncoder):
            different = list(dict.fromkeys(texts))
            states = dict(zip(different, self.encoder.encode(different), strict=True))
            return [self.pooling.reduce(states[text]) for text in texts]
        known = self._cache.features(
            texts, made_by=f"{self.encoder.identity}/{self.pooling.reduction}", compute=self._compute
        )
        return [torch.from_numpy(array) for array in known]

    def _compute(self, texts: list[str]) -> list[np.ndarray]:
        """What is not known yet, by a frozen encoder."""
        assert isinstance(self.encoder, TextEncoder)
        with torch.no_grad():
            states = self.encoder.encode(texts, device=self._here.device)
            return [np.ascontiguousarray(self.pooling.reduce(each).cpu().numpy()) for each in states]

    def _aligned(self, rows: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """Tokens (B, K, D) and mask (B, K): of each (k, D) the last K, with the newest in the last place."""
        present = next((row for row in rows if row is not None), self._here)
        tokens = present.new_zeros(len(rows), self.tokens, self.width)
        mask = torch.zeros(len(rows), self.tokens, dtype=torch.bool)
        for number, row in enumerate(rows):
            if row is not None and len(row):
                kept = row[-self.tokens :]
                tokens[number, -len(kept) :] = kept
                mask[number, -len(kept) :] = True
        tokens = tokens.to(self._here)
        if isinstance(self.encoder, LoRATextEncoder) and self.training:
            # processes that train together must agree on which weights have gradients
            tokens = tokens + 0 * torch.stack([weight.sum() for weight in self.encoder.adapters()]).sum()
        return tokens, mask.to(self._here.device)


def _conversation(history: Sequence[Turn], next_speaker: str | None) -> Conversation:
    turns = [turn for turn in history if turn.text.strip()]
    return Conversation(turns, likely_next_speaker(turns) if next_speaker is None else next_speaker)
