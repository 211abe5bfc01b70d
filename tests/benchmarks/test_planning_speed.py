"""Mixtures planned a second in a corpus of 100,000 utterances with 20 turns of history each, as a table."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from cse.history import Turn
from cse.manifest import Utterance
from simulate.plan import PlanConfig, Planner

pytestmark = pytest.mark.benchmark
DIALOGUES = 5000
TURNS = 20
PLANS = 1000
LEAST_A_SECOND = 1000
RULES = {
    "as they come": PlanConfig(),
    "alike": PlanConfig(
        same_gender_probability=0.5, same_topic_probability=0.5, same_dialogue_probability=0.3
    ),
}


def corpus(speakers: int) -> list[Utterance]:
    """Two speakers in turn in each dialogue, each of a gender of their own where there are but two, as in DailyTalk."""
    utterances = []
    for dialogue in range(DIALOGUES):
        pair = (dialogue % speakers, (dialogue + 1) % speakers)
        said = tuple(Turn(f"turn {turn}", f"s{pair[turn % 2]}") for turn in range(TURNS))
        first = Utterance(
            id=f"{dialogue}-0",
            audio=Path(f"/corpus/{dialogue}-0.wav"),
            speaker=f"s{pair[0]}",
            duration_s=4.0,
            sample_rate=8000,
            text=said[0].text,
            dialogue=f"d{dialogue}",
        )
        for turn in range(TURNS):
            speaker = pair[turn % 2]
            utterances.append(
                replace(
                    first,
                    id=f"{dialogue}-{turn}",
                    audio=Path(f"/corpus/{dialogue}-{turn}.wav"),
                    speaker=f"s{speaker}",
                    text=said[turn].text,
                    history=said[:turn],
                    extra={"gender": str(speaker % 2), "topic": str(dialogue % 3)},
                )
            )
    return utterances


def test_plans_a_second() -> None:
    print(f"\n{DIALOGUES * TURNS:,} utterances, {PLANS} plans\n{'speakers':>8} {'rule':>12} {'plans/s':>9}")
    for speakers in (2, 5000):
        utterances = corpus(speakers)
        for name, rule in RULES.items():
            planner = Planner(utterances, rule)
            started_s = time.process_time()
            for index in range(PLANS):
                planner.plan(index)
            a_second = PLANS / (time.process_time() - started_s)
            print(f"{speakers:>8} {name:>12} {a_second:>9,.0f}")
            assert a_second > LEAST_A_SECOND
