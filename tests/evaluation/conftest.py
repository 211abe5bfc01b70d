"""A manifest written by hand, with numbers one can work out on paper, and extractors that do as told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cse.extraction import Candidate, Extraction
from cse.history import Turn
from cse.manifest import Mixture, read_mixtures

RATE = 8000

# Tones of whole periods in half a second: orthogonal over 0.5 s and over 1 s. In d the target is absent.
MANIFEST = """\
{"id": "a", "mixture": "a.wav", "target": "a_target.wav", "interferers": ["a_1.wav"], "sample_rate": 8000, \
"duration_s": 1.0, "history": [{"speaker": "Ana", "text": "Where?"}, {"speaker": "Ben", "text": "Here."}, \
{"speaker": "Ana", "text": "When?"}], "target_text": "We meet at noon.", \
"interferer_texts": ["A red car."], "seed": 1}
{"id": "b", "mixture": "b.wav", "target": "b_target.wav", "interferers": ["b_1.wav"], "sample_rate": 8000, \
"duration_s": 1.0, "history": [], "target_text": "Bring some bread."}
{"id": "c", "mixture": "c.wav", "target": "c_target.wav", "interferers": ["c_1.wav", "c_2.wav"], \
"sample_rate": 8000, "duration_s": 1.0, \
"history": [{"speaker": "Ana", "text": "<script>alert('x')</script> & more"}], \
"kept": "as it is"}
{"id": "d", "mixture": "d.wav", "target": null, "interferers": ["d_1.wav", "d_2.wav"], "sample_rate": 8000, \
"duration_s": 1.0, "history": [{"speaker": "Ana", "text": "Where?"}]}
"""
# item -> (name, frequency in Hz, amplitude, seconds) of each voice
VOICES = {
    "a": [("target", 440, 0.4, 1.0), ("1", 1000, 0.4, 1.0)],
    "b": [("target", 600, 0.4, 1.0), ("1", 1000, 0.2, 1.0)],
    "c": [("target", 440, 0.3, 0.5), ("1", 1000, 0.3, 1.0), ("2", 1500, 0.3, 1.0)],
    "d": [("1", 440, 0.3, 1.0), ("2", 1000, 0.3, 1.0)],
}


def tone(frequency_hz: float, amplitude: float, duration_s: float) -> np.ndarray:
    time = np.arange(int(duration_s * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)


@pytest.fixture(scope="session")
def manifest_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("by_hand")
    for item, voices in VOICES.items():
        mixture = np.zeros(RATE, np.float32)
        for name, frequency_hz, amplitude, duration_s in voices:
            voice = tone(frequency_hz, amplitude, duration_s)
            mixture[: len(voice)] += voice
            soundfile.write(folder / f"{item}_{name}.wav", voice, RATE, subtype="FLOAT")
        soundfile.write(folder / f"{item}.wav", mixture, RATE, subtype="FLOAT")
    path = folder / "mixtures.jsonl"
    path.write_text(MANIFEST)
    return path


@pytest.fixture
def mixtures(manifest_path: Path) -> list[Mixture]:
    return read_mixtures(manifest_path)


def extraction(
    waveform: np.ndarray,
    *,
    sample_rate: int = RATE,
    probability: float = 0.9,
    abstained: bool = False,
    target_present: bool = True,
    candidates: Sequence[Candidate] = (),
    turn_attribution: list[float] | None = None,
) -> Extraction:
    """What an extractor returns, with everything filled in that a test does not look at."""
    return Extraction(
        waveform=waveform,
        sample_rate=sample_rate,
        probability=probability,
        abstained=abstained,
        target_present=target_present,
        candidates=list(candidates),
        turn_attribution=turn_attribution,
        context_turns=0,
        duration_s=len(waveform) / sample_rate,
        real_time_factor=0.1,
        model="fake",
        warnings=["made up"],
    )


@dataclass
class FakeExtractor:
    """Calls `answer(item id, voices of the item)` and remembers what it was given."""

    answer: Callable[[str, list[np.ndarray]], Extraction]
    calls: list[tuple[str, Sequence[Turn] | None, Path | None]] = field(default_factory=list)
    targets: list[str | None] = field(default_factory=list)
    talkers: int = 3
    name: str = "fake"

    def extract(
        self,
        audio: Path,
        history: Sequence[Turn] | None = None,
        *,
        enrollment: Path | None = None,
        target: str | None = None,
    ) -> Any:
        self.calls.append((audio.stem, history, enrollment))
        self.targets.append(target)
        voices = []
        for name, _, _, _ in VOICES[audio.stem]:
            voice, _ = soundfile.read(audio.with_name(f"{audio.stem}_{name}.wav"), dtype="float32")
            voices.append(np.pad(voice, (0, RATE - len(voice))))
        return self.answer(audio.stem, voices)


def _two_candidates(chosen: np.ndarray, other: np.ndarray, **said: Any) -> Extraction:
    candidates = [Candidate(other, 0.1, "a red car"), Candidate(chosen, 0.9, "we meet at noon")]
    return extraction(chosen, candidates=candidates, **said)


def ideal(item: str, voices: list[np.ndarray]) -> Extraction:
    """The target with the interferers 20 dB further down; says so when there is no target."""
    chosen, other = voices[0] + 0.1 * sum(voices[1:]), sum(voices[1:]) + 0.1 * voices[0]
    return _two_candidates(chosen, other, target_present=item != "d")


def swapped(item: str, voices: list[np.ndarray]) -> Extraction:
    """The first interferer, as sure as the ideal one."""
    return _two_candidates(voices[1] + 0.1 * voices[0], voices[0] + 0.1 * voices[1])


def hedging(item: str, voices: list[np.ndarray]) -> Extraction:
    """The mixture, with the target a little louder; has no candidates."""
    return extraction(voices[0] * 1.1 + sum(voices[1:]), probability=0.5, abstained=True)


def absent(item: str, voices: list[np.ndarray]) -> Extraction:
    """Claims every time that nobody continues the history."""
    return extraction(voices[0], probability=0.2, target_present=False)


@pytest.fixture
def fake() -> Callable[[str], FakeExtractor]:
    """An extractor by its manners: ideal, swapped, hedging, absent."""
    answers = {"ideal": ideal, "swapped": swapped, "hedging": hedging, "absent": absent}
    return lambda manners: FakeExtractor(answers[manners])


@pytest.fixture
def fake_that_answers() -> Callable[[Callable[[str, list[np.ndarray]], Extraction]], FakeExtractor]:
    """An extractor that answers with a function of the test."""
    return FakeExtractor


@pytest.fixture
def new_extraction() -> Callable[..., Extraction]:
    return extraction
