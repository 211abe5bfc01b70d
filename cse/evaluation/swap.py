"""Wrong cues on purpose: those of an interferer, to see which cue a model follows."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from cse.errors import ConfigError
from cse.history import check_history
from cse.manifest import Mixture


def swap_cues(mixtures: Sequence[Mixture], swapped: Collection[str]) -> list[Mixture]:
    """Give each mixture the history or the enrollment of its first interferer; what is right stays the target.

    A model that is led by a cue then returns the wrong voice. Histories come from `interferer_histories`, which
    `cse simulate` writes; enrollments from the mixtures whose target is the interferer's talker, one drawn for each
    mixture, and never the utterance that is to be heard in it.

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
        result = list(_with_voice_of_interferer(result, mixtures))
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
            yield replace(
                mixture, history=tuple(check_history(histories[0])), target_speaker=_first_interferer(mixture)
            )


def _with_voice_of_interferer(
    mixtures: Sequence[Mixture], all_of_them: Sequence[Mixture]
) -> Iterator[Mixture]:
    enrolled: dict[str, list[Mixture]] = {}
    for mixture in all_of_them:
        if mixture.enrollment is not None and mixture.target_speaker is not None:
            enrolled.setdefault(mixture.target_speaker, []).append(mixture)
    for mixture in mixtures:
        heard = set(mixture.extra.get("interferer_ids", ()))
        others = [
            one.enrollment
            for one in enrolled.get(_first_interferer(mixture) or "", ())
            if one.extra.get("enrollment_id") not in heard
        ]
        if others and mixture.target is not None:
            # the same for the same mixture, in every run
            yield replace(mixture, enrollment=random.Random(mixture.id).choice(others))


def _first_interferer(mixture: Mixture) -> str | None:
    return next(iter(mixture.extra.get("interferer_speakers", ())), None)
