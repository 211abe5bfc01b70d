"""Wrong cues on purpose come from the interferer, and from nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cse.errors import ConfigError
from cse.evaluation.swap import swap_cues
from cse.history import Turn
from cse.manifest import Mixture


def mixture(talker: str, interferer: str, said: str | None = "Their turn.") -> Mixture:
    histories = [[{"speaker": "other", "text": said}] if said else []]
    return Mixture(
        id=talker,
        mixture=Path(f"{talker}.wav"),
        target=Path("target.wav"),
        sample_rate=16000,
        duration_s=1.0,
        history=(Turn("Our turn.", "Ana"),),
        target_speaker=talker,
        enrollment=Path(f"voice-of-{talker}.wav"),
        extra={"interferer_speakers": [interferer], "interferer_histories": histories},
    )


MIXTURES = [mixture("Ana", "Ben"), mixture("Ben", "Eve"), mixture("Eve", "Ana", said=None)]


def test_nothing_asked_for_changes_nothing():
    assert swap_cues(MIXTURES, ()) == MIXTURES


def test_the_history_is_that_of_the_interferer():
    swapped = swap_cues(MIXTURES, {"history"})
    assert [one.id for one in swapped] == ["Ana", "Ben"]
    assert swapped[0].history == (Turn("Their turn.", "other"),)
    assert swapped[0].target_speaker == "Ben", "who continues it"
    assert swapped[0].enrollment == MIXTURES[0].enrollment


def test_the_enrollment_is_that_of_the_interferer():
    swapped = swap_cues(MIXTURES, {"enrollment"})
    assert [str(one.enrollment) for one in swapped] == [
        f"voice-of-{name}.wav" for name in ("Ben", "Eve", "Ana")
    ]
    assert [one.history for one in swapped] == [one.history for one in MIXTURES]


def test_enrollments_are_drawn_and_never_the_interferer_s_own_words():
    talks = [
        replace(
            mixture("Ben", "Ana"),
            id=f"ben{number}",
            enrollment=Path(f"{number}.wav"),
            extra={"enrollment_id": f"u{number}"},
        )
        for number in range(4)
    ]
    against = [
        replace(
            mixture("Ana", "Ben"),
            id=f"ana{number}",
            extra={"interferer_speakers": ["Ben"], "interferer_ids": [f"u{number % 4}"]},
        )
        for number in range(40)
    ]
    swapped = swap_cues([*against, *talks], {"enrollment"})
    assert len(swapped) == 40, "nobody knows who is mixed with Ben"
    assert {str(one.enrollment) for one in swapped} == {f"{number}.wav" for number in range(4)}
    assert all(str(one.enrollment) != f"{number % 4}.wav" for number, one in enumerate(swapped))
    assert swap_cues([*against, *talks], {"enrollment"}) == swapped


def test_a_manifest_that_does_not_say_is_an_error():
    silent = [replace(one, extra={}, target_speaker=None) for one in MIXTURES]
    for cue in ("history", "enrollment"):
        with pytest.raises(ConfigError, match=f"swap {cue}: none of 3 mixtures"):
            swap_cues(silent, {cue})
