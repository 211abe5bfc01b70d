"""What an `Extractor` asks of a family of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, TypedDict

import numpy as np

from cse.audio import Recording
from cse.encoders.voice import SpeakerEmbedding
from cse.history import Turn
from cse.processor import has_bfloat16
from cse.selection.calibration import Choice

ShouldStop = Callable[[], bool]
Precision = Literal["float32", "bfloat16"]


class WindowLengths(TypedDict):
    """In samples, as `cse.models.windows.separate_in_windows` takes them."""

    window: int
    overlap: int


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where and how a network runs.

    Attributes:
        device: E.g. "cpu" or "cuda".
        precision: bfloat16 is quicker where the processor has it, and float32 is taken where it does not; estimates
            differ by about 1 % of their level.
        window_s: Recordings longer than this many seconds are separated in windows,
        overlap_s: which share this many seconds.
    """

    device: str = "cpu"
    precision: Precision = "float32"
    window_s: float = 20.0
    overlap_s: float = 4.0

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Without gradients, in this precision."""
        import torch  # here, since what runs on onnxruntime does without

        device_type = torch.device(self.device).type
        reduced = self.precision == "bfloat16" and (device_type != "cpu" or has_bfloat16())
        with torch.inference_mode(), torch.autocast(device_type, torch.bfloat16, enabled=reduced):
            yield

    def windows(self, sample_rate: int) -> WindowLengths:
        """Arguments of `cse.models.windows.separate_in_windows`."""
        return {"window": round(self.window_s * sample_rate), "overlap": round(self.overlap_s * sample_rate)}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a family of models makes of a mixture.

    Attributes:
        voices: One (T,) of floating point for each talker who was found, at their level in the mixture.
        choice: Which of them is meant.
        is_recording: The only voice is the mixture itself, since only one talker was found.
    """

    voices: Sequence[np.ndarray]
    choice: Choice
    is_recording: bool = False


class Method(Protocol):
    """Extracts voices from a mixture and chooses among them. Safe to call from several threads.

    Attributes:
        sample_rate: In Hz, of the mixtures it takes and the voices it returns.
        talkers: How many voices in a mixture it was made for.
    """

    sample_rate: int
    talkers: int

    def extract(
        self,
        mixture: np.ndarray,
        history: Sequence[Turn] | None,
        *,
        enrollment: Recording | SpeakerEmbedding | None,
        target: str | None,
        should_stop: ShouldStop | None,
    ) -> Outcome:
        """Extract.

        Args:
            mixture: (T,) float32 or float16 at `sample_rate`.
            history: Turns before the recording, oldest first; None if there is none.
            enrollment: The wanted voice alone, or its embedding.
            target: Name of the person who speaks next, where it is known.
            should_stop: Asked between windows.

        Raises:
            MissingCueError: If the models need a cue that is not there.
            CancelledError: If `should_stop` said so.
            ConfigError: If the embedding is from another voice encoder.
        """
        ...

    def embed_voice(self, recording: Recording) -> SpeakerEmbedding:
        """How the one voice in a recording sounds, for `extract` to take as its enrollment.

        Raises:
            MissingExtraError: If the package of the voice encoder is not installed.
            ConfigError: If there is no voice encoder whose embeddings can be kept.
        """
        ...
