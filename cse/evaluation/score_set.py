"""Which mixtures of a set are scored: those whose target has enough of a conversation before it."""

from __future__ import annotations

from collections.abc import Sequence

from cse.errors import ConfigError
from cse.manifest import Mixture


def with_history(mixtures: Sequence[Mixture], least: int) -> list[Mixture]:
    """Keep the mixtures with at least so many turns of history; the paper scores 5 on DailyTalk, 10 on SpokenWOZ.

    This is about what a mixture has, not about how much of it a model is told.

    Args:
        mixtures: Records of a manifest.
        least: Fewest turns; 0 keeps all.

    Raises:
        ConfigError: If none is left.

    >>> with_history([], 0)
    []
    """
    kept = [mixture for mixture in mixtures if len(mixture.history) >= least]
    if mixtures and not kept:
        most = max(len(mixture.history) for mixture in mixtures)
        raise ConfigError(
            f"min_history_turns: none of {len(mixtures)} mixtures has {least} turns of history, the most are {most}; "
            "lower it"
        )
    return kept
