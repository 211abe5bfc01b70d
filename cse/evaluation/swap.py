"""Wrong cues on purpose: those of an interferer, to see which cue a model follows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from cse.errors import ConfigError
from cse.history import check_history
from cse.manifest import Mixture


def swap_cues(mixtures: Sequence[Mixture], swapped: Collection[str]) -> list[Mixture]:
    """Give each mixture the history or the enrollment of its first interferer; what is right stays the target.

    A model that is led by a cue then returns the wrong voice. Histories come from `interferer_histories`, which
    `cse simulate` writes; enrollments from any mixture whose target is the interferer's talker.

    Args:
        mixtures: Records of a manifest.
        swapped: Of "history" and "enrollment".

    Returns:
        The mixtures for which there is such a cue; others are left out.

    Raises:
        ConfigError: If there is none for any mixture.
    """
    result = list(mixtures)
    if "history" in swapped:
        result = list(_with_history_of_interferer(result))
    if "enrollment" in swapped:
        enrollments = {
            mixture.target_speaker: mixture.enrollment for mixture in mixtures if mixture.enrollment
        }
        result = [
            replace(mixture, enrollment=enrollments[speaker])
            for mixture in result
            for speaker in mixture.extra.get("interferer_speakers", [])[:1]
            if speaker in enrollments and mixture.target is not None
        ]
    if mixtures and not result:
        raise ConfigError(
            f"swap {', '.join(sorted(swapped))}: none of {len(mixtures)} mixtures says what the interferer's would be; "
            "make them anew with `cse simulate` (it writes interferer_histories and interferer_speakers)"
        )
    return result


def _with_history_of_interferer(mixtures: Sequence[Mixture]) -> Iterator[Mixture]:
    for mixture in mixtures:
        histories = mixture.extra.get("interferer_histories") or [[]]
        if histories[0] and mixture.target is not None:
            yield replace(mixture, history=tuple(check_history(histories[0])), target_speaker=None)
