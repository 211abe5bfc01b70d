"""Who is put into a mixture with whom."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cse.errors import ManifestError
from cse.history import Turn
from cse.manifest import Utterance
from simulate.plan import PlanConfig, Planner
from simulate.timing import Overlap, Timing


def corpus(dialogues: int, *, speakers: int = 20, turns: int = 6) -> list[Utterance]:
    """Two speakers in turn in each dialogue; even ones of one gender, one topic in three dialogues."""
    utterances = []
    for dialogue in range(dialogues):
        pair = (dialogue % speakers, (dialogue + 1 + dialogue // speakers % (speakers - 1)) % speakers)
        said = tuple(Turn(f"turn {turn}", f"s{pair[turn % 2]}") for turn in range(turns))
        for turn in range(turns):
            speaker = pair[turn % 2]
            name = f"{dialogue}-{turn}"
            extra = {"gender": "even" if speaker % 2 == 0 else "odd", "topic": f"topic{dialogue % 3}"}
            utterances.append(
                Utterance(
                    id=name,
                    audio=Path(f"/corpus/{name}.wav"),
                    speaker=f"s{speaker}",
                    duration_s=4.0,
                    sample_rate=8000,
                    text=said[turn].text,
                    dialogue=f"d{dialogue}",
                    history=said[:turn],
                    extra=extra,
                )
            )
    return utterances


def plans(utterances: list[Utterance], **options: object):
    planner = Planner(utterances, PlanConfig(**options))  # type: ignore[arg-type]
    return [planner.plan(index) for index in range(len(planner))]


def test_interferers_are_strangers_unless_asked_otherwise() -> None:
    for plan in plans(corpus(40), talkers=3):
        assert plan.target is plan.asked
        assert plan.interferers == plan.talkers[1:]
        assert len({talker.speaker for talker in plan.talkers}) == 3
        assert plan.asked.dialogue not in {other.dialogue for other in plan.interferers}
        assert plan.enrollment is not None
        assert plan.enrollment.speaker == plan.asked.speaker
        assert plan.enrollment.audio != plan.asked.audio


def test_every_utterance_with_enough_history_is_asked_for_once() -> None:
    utterances = corpus(10)
    asked = Counter(plan.asked.id for plan in plans(utterances, min_history_turns=2))
    assert asked == Counter(one.id for one in utterances if len(one.history) >= 2)


def test_interferers_and_enrollments_are_drawn_evenly() -> None:
    utterances = corpus(30, speakers=5)
    planner = Planner(utterances, PlanConfig(min_history_turns=0))
    found, enrolled = Counter(), Counter()  # type: ignore[var-annotated]
    for seed in range(20):
        planner = Planner(utterances, PlanConfig(min_history_turns=0, seed=seed))
        for index in range(len(planner)):
            plan = planner.plan(index)
            found[plan.interferers[0].id] += 1
            assert plan.enrollment is not None
            enrolled[plan.enrollment.id] += 1
    for counts in (found, enrolled):
        assert len(counts) == len(utterances)
        assert max(counts.values()) < 3 * np.mean(list(counts.values()))


@pytest.mark.parametrize("trait", ["gender", "topic"])
def test_interferers_alike(trait: str) -> None:
    share = {
        probability: np.mean(
            [
                plan.interferers[0].extra[trait] == plan.asked.extra[trait]
                for plan in plans(corpus(60), **{f"same_{trait}_probability": probability})
            ]
        )
        for probability in (0.0, 0.5, 1.0)
    }
    assert share[1.0] == 1
    assert share[0.0] < share[0.5] - 0.1 < share[1.0] - 0.2


def test_interferers_of_the_same_dialogue() -> None:
    made = plans(corpus(40), same_dialogue_probability=0.5)
    inside = [plan for plan in made if plan.interferers[0].dialogue == plan.asked.dialogue]
    assert 0.3 < len(inside) / len(made) < 0.7
    assert all(plan.interferers[0].speaker != plan.asked.speaker for plan in inside)


def test_absent_means_that_the_asked_speaker_is_nowhere() -> None:
    made = plans(corpus(40), absent_probability=0.25, same_dialogue_probability=0.5)
    absent = [plan for plan in made if plan.target is None]
    assert 0.15 < len(absent) / len(made) < 0.35
    for plan in absent:
        assert plan.interferers == plan.talkers
        assert len(plan.snr_db) == len(plan.talkers) - 1
        assert plan.asked.speaker not in {talker.speaker for talker in plan.talkers}
        assert plan.asked.dialogue not in {talker.dialogue for talker in plan.talkers}


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        ({"speaker": "one"}, {}, r"utterances of 1 speaker\(s\), expected at least 2"),
        ({"dialogue": "one"}, {}, r"a target with 0 other speaker\(s\) in other dialogues"),
        (
            {"extra": {}},
            {"same_gender_probability": 1.0},
            "same_gender_probability: got no utterance with a 'gender'",
        ),
        (
            {"dialogue": None},
            {"same_dialogue_probability": 1.0},
            "got no dialogue in which two speakers talk",
        ),
        ({"audio": Path("/corpus/0-0.wav")}, {}, r"0-0 and 0-1: got the speakers s0 and s1 in one file"),
        ({"history": ()}, {}, r"got no utterance with 1 turn\(s\) of history \(the most are 0\)"),
    ],
)
def test_what_the_corpus_lacks_is_said_at_once(change: dict, options: dict, says: str) -> None:
    utterances = [replace(utterance, **change) for utterance in corpus(6)]
    with pytest.raises(ManifestError, match=says):
        Planner(utterances, PlanConfig(**options))


def test_two_speakers_in_all_cannot_be_absent() -> None:
    utterances = [replace(one, speaker=f"s{len(one.history) % 2}") for one in corpus(6)]
    assert len(plans(utterances)) == 30
    with pytest.raises(ManifestError, match="mixtures without a target .absent_probability."):
        Planner(utterances, PlanConfig(absent_probability=0.1))


def test_overlap_of_nothing_and_of_everything() -> None:
    apart = Timing(overlaps=(Overlap(0.0, 0.2), Overlap(0.0, 0.9)))
    assert apart.begins([100, 50, 30]) == [50, 0, 150]
    for place in (0.0, 0.5, 1.0):
        for lengths in ([100, 60], [60, 100]):
            begins = Timing(overlaps=(Overlap(1.0, place),)).begins(lengths)
            ends = [begin + length for begin, length in zip(begins, lengths, strict=True)]
            assert min(begins) == 0 and max(ends) == 100  # one within the other
