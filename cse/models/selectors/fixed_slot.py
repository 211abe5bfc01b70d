"""The published choice: by the place of an output."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cse.errors import MissingCueError
from cse.models.cues.cue import Cue
from cse.models.selectors.selector import Heard, Judgement, Selector


class FixedSlotSelector(Selector):
    """Reads off the history's prompt which output is meant, without hearing any (Kim, Mira et al., CSE, ICASSP 2025).

    This published head depends on the order of the outputs: its scores belong to the first, the second, … mask of the
    backbone that it was trained with, whatever voice is put there. It cannot say that nobody is meant.

    Args:
        width: Features of the backbone's state, W.
        talkers: Number of voices S.
        outputs: S, trained with cross-entropy; or 1 for two talkers, trained with binary cross-entropy: the log-odds of
            the second output against the first.

    Raises:
        ValueError: If `outputs` is neither.

    >>> selector = FixedSlotSelector(width=8, talkers=2, outputs=1)
    >>> slots = selector.slot_scores(torch.randn(3, 1, 8))
    >>> selector(torch.randn(3, 2, 100), [], slots=slots).logits.shape
    torch.Size([3, 3])
    """

    def __init__(self, *, width: int, talkers: int, outputs: int) -> None:
        super().__init__()
        if outputs != talkers and (outputs, talkers) != (1, 2):
            raise ValueError(
                f"got {outputs} outputs for {talkers} talkers, expected {talkers}, or 1 for 2 talkers"
            )
        self.scores = nn.Linear(width, outputs)

    def slot_scores(self, prompt: Tensor) -> Tensor:
        """What the backbone made of the prompts, (B, K, W), the history's first -> (B, S), a score of each mask."""
        scores: Tensor = self.scores(prompt[:, 0])
        if scores.shape[1] == 1:
            scores = torch.cat([torch.zeros_like(scores), scores], dim=1)
        return scores

    def hear(self, voices: Tensor, slots: Tensor | None) -> Heard:
        """The scores (B, S) as they are.

        Raises:
            MissingCueError: If the backbone has no prompts.
        """
        if slots is None:
            raise MissingCueError(
                "FixedSlotSelector got no prompt, expected what the backbone made of the history; use SepFormer with "
                "the Prompt fusion, or the ListeningSelector"
            )
        return (slots,)

    def compare(self, heard: Heard, cues: Sequence[Cue]) -> Judgement:
        """Scores (B, S) -> logits (B, S + 1), the last -inf."""
        (slots,) = heard
        return Judgement(torch.cat([slots, torch.full_like(slots[:, :1], float("-inf"))], dim=1))
