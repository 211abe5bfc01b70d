"""What an extraction returns."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cse.audio import write_blocks
from cse.lazy_waveform import WaveformField

if TYPE_CHECKING:
    from cse.voice_book import Learning


@dataclass(frozen=True)
class Candidate:
    """One talker of the mixture.

    Attributes:
        waveform: (T,) float32 at the rate, length and level of the recording; made when it is first asked for.
        probability: That this talker continues the history.
        transcript: What the recogniser heard; None where it was not asked.
    """

    waveform: WaveformField = WaveformField()  # noqa: RUF009
    probability: float  # type: ignore[misc]  # the field above reads like one with a default, and has none
    transcript: str | None  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """The extracted voice and everything that led to it.

    Attributes:
        waveform: (T,) float32, as many samples as came in, at `sample_rate`. That of a long recording is made when it
            is first asked for; `save` does without.
        sample_rate: That of the recording, in Hz.
        probability: That `waveform` is the voice that continues the history, 0 to 1.
        abstained: True if the probability is too low to rely on the choice.
        target_present: False if it is likelier that nobody continues the history.
        candidates: Every talker who was found: one in a recording of one person, whose voice is the recording itself.
        turn_attribution: For every turn, how much of the choice's log-odds it brought; None where it was not asked.
        context_turns: Number of turns of history.
        duration_s: Of the recording.
        real_time_factor: Seconds of work over seconds of audio.
        model: Name of the model.
        warnings: What the user should know, one sentence each.
        learning: Whether a voice book learnt from it; None where there was none.
    """

    waveform: WaveformField = WaveformField()  # noqa: RUF009
    sample_rate: int
    probability: float
    abstained: bool
    target_present: bool
    candidates: list[Candidate]
    turn_attribution: list[float] | None
    context_turns: int
    duration_s: float
    real_time_factor: float
    model: str
    warnings: list[str] = field(default_factory=list)
    learning: Learning | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the voice; the suffix says the format (.wav, .flac, .ogg). Complete or not at all."""
        write_blocks(path, WaveformField.blocks(self, "waveform"), self.sample_rate)

    def to_dict(self, output: str | None = None) -> dict[str, Any]:
        """What `cse extract --json` prints: plain values, without the waveforms; `learning` where there is any."""
        learning = {} if self.learning is None else {"learning": asdict(self.learning)}
        return {
            "output": output,
            "probability": self.probability,
            "abstained": self.abstained,
            "target_present": self.target_present,
            "talkers": len(self.candidates),
            "candidates": [
                {"probability": candidate.probability, "transcript": candidate.transcript}
                for candidate in self.candidates
            ],
            "context_turns": self.context_turns,
            "turn_attribution": self.turn_attribution,
            "duration_s": self.duration_s,
            "sample_rate": self.sample_rate,
            "real_time_factor": self.real_time_factor,
            "model": self.model,
            "warnings": self.warnings,
            **learning,
        }
