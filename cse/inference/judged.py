"""From what a model under cues thinks of its voices to a choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cse.selection.calibration import Choice


def choice_of(logits: np.ndarray, *, abstain_below: float, warnings: Sequence[str]) -> Choice:
    """Read off which voice is meant.

    Args:
        logits: (S + 1,) log-odds, up to a common constant, of each voice and at last of nobody.
        abstain_below: A choice of lower probability is not to be relied on.
        warnings: What the user should know already.

    >>> choice_of(np.array([2.0, 0.0, 0.0]), abstain_below=0.5, warnings=[]).index
    0
    """
    shares = np.exp(logits - logits.max(), dtype=np.float64)
    shares /= shares.sum()
    probabilities, p_none = shares[:-1], float(shares[-1])
    index = int(probabilities.argmax())
    if logits[-1] == -np.inf and len(probabilities) == 1:
        warnings = [*warnings, "this model cannot tell how sure it is: its probability is always 1"]
    return Choice(
        index=index,
        probabilities=probabilities,
        p_none=p_none,
        abstained=bool(probabilities[index] < abstain_below),
        target_present=p_none < 0.5,
        audible=np.ones(len(probabilities), bool),
        transcripts=(None,) * len(probabilities),
        warnings=tuple(warnings),
    )
