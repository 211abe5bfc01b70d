"""Leaving cues out in training, so that a model learns to do with the other one; how long they may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cse.errors import ConfigError
from simulate.checks import check_share


@dataclass(frozen=True, kw_only=True)
class CueDropout:
    """Which share of mixtures lacks which cue.

    Attributes:
        history_dropout: Share of mixtures without history.
        enrollment_dropout: Share of mixtures without enrollment; they are others than those without history.
        both_dropout: Share of mixtures with neither.

    Raises:
        ConfigError: Shares outside of 0 to 1, or more than 1 together.

    >>> CueDropout(history_dropout=1.0).kept(True, True, np.random.default_rng(0))
    (False, True)
    >>> CueDropout(history_dropout=1.0).kept(True, False, np.random.default_rng(0))
    (True, False)
    """

    history_dropout: float = 0.0
    enrollment_dropout: float = 0.0
    both_dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("history_dropout", "enrollment_dropout", "both_dropout"):
            check_share(name, getattr(self, name))
        dropped = self.history_dropout + self.enrollment_dropout + self.both_dropout
        if dropped > 1 + 1e-9:
            raise ConfigError(
                f"history_dropout, enrollment_dropout and both_dropout: got {dropped:g} together, expected at most 1: "
                "a mixture is in one of these shares; lower one of them"
            )

    def kept(self, has_history: bool, has_enrollment: bool, rng: np.random.Generator) -> tuple[bool, bool]:
        """Which cues an item keeps; the only one that there is, is not dropped alone."""
        edges = np.cumsum([self.both_dropout, self.history_dropout, self.enrollment_dropout])
        share = int(
            np.searchsorted(edges, rng.random(), side="right")
        )  # 0 neither, 1 no history, 2 no enrollment
        if share == 0:
            return False, False
        drops_history = share == 1 and has_enrollment
        drops_enrollment = share == 2 and has_history
        return has_history and not drops_history, has_enrollment and not drops_enrollment


def check_cues(*, max_history_turns: int, enrollment_s: tuple[float, float]) -> None:
    """Refuse histories without turns, and enrollments without sound.

    >>> check_cues(max_history_turns=1, enrollment_s=(0.0, 5.0))
    Traceback (most recent call last):
    cse.errors.ConfigError: enrollment_s: got (0.0, 5.0), expected two lengths, the shorter one first
    """
    if max_history_turns < 1:
        raise ConfigError(
            f"max_history_turns: got {max_history_turns}, expected at least 1; history_dropout=1 leaves all histories "
            "away"
        )
    if not 0 < enrollment_s[0] <= enrollment_s[1] < float("inf"):
        raise ConfigError(f"enrollment_s: got {enrollment_s}, expected two lengths, the shorter one first")
