"""From speech to words: what a transcriber is, and what all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from cse.audio import resample
from cse.encoders.voice import SILENCE_PEAK

SPEECH_RATE_HZ = 16000
"""Sample rate that the recognisers here work at."""

_TARGET_PEAK = 0.9
_FRAME_S = 0.02


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word, with the recogniser's own confidence (0 to 1) and its times from the start."""

    text: str
    confidence: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """The words of one voice, in the order in which they were said.

    Example:
        >>> transcript = Transcript((Word("thank", 0.9, 0.1, 0.4), Word("you", 0.7, 0.4, 0.6)))
        >>> transcript.text, round(transcript.expected_words, 1)
        ('thank you', 1.6)
    """

    words: tuple[Word, ...] = ()

    @property
    def text(self) -> str:
        """The words with blanks between them."""
        return " ".join(word.text for word in self.words)

    @property
    def expected_words(self) -> float:
        """How many of the words are probably right: the sum of their confidences."""
        return sum(word.confidence for word in self.words)


class Transcriber(Protocol):
    """Hears words in the voice of one talker. Safe to call from several threads."""

    name: str

    def transcribe(self, waveform: np.ndarray, sample_rate: int) -> Transcript:
        """Recognise the words of (T,) float32 at `sample_rate` Hz; silence has none."""
        ...


@runtime_checkable
class BatchTranscriber(Transcriber, Protocol):
    """A transcriber that is faster with several voices at once."""

    def transcribe_batch(self, waveforms: Sequence[np.ndarray], sample_rate: int) -> list[Transcript]:
        """Recognise the words of each waveform."""
        ...


def transcribe_all(
    transcriber: Transcriber, waveforms: Sequence[np.ndarray], sample_rate: int
) -> list[Transcript]:
    """Recognise the words of each waveform: together where the transcriber can, else one after the other."""
    if isinstance(transcriber, BatchTranscriber):
        return transcriber.transcribe_batch(waveforms, sample_rate)
    return [transcriber.transcribe(waveform, sample_rate) for waveform in waveforms]


def prepare_speech(waveform: np.ndarray, sample_rate: int) -> np.ndarray | None:
    """Bring a voice to the rate and the level that recognisers know: 16 kHz, peak 0.9. Silence gives None.

    The level matters because separated estimates come at their level in the mixture.

    Args:
        waveform: (T,) at `sample_rate` Hz.

    Example:
        >>> speech = prepare_speech(0.01 * np.sin(np.arange(8000)), 8000)
        >>> speech.shape, round(float(abs(speech).max()), 3)
        ((16000,), 0.9)
    """
    if not waveform.size or np.abs(waveform).max() < SILENCE_PEAK:
        return None
    speech = resample(waveform, sample_rate, SPEECH_RATE_HZ)
    return speech * np.float32(_TARGET_PEAK / np.abs(speech).max())


def split_at_pauses(speech: np.ndarray, sample_rate: int, max_s: float) -> list[tuple[int, int]]:
    """Cut a long recording into pieces at its quietest moments, so that no word is cut if there is a pause.

    Each cut lies in the last half of the longest allowed piece.

    Args:
        speech: (T,) at `sample_rate` Hz.
        max_s: how long a piece may be.

    Returns:
        First sample and end of each piece; together they cover everything.

    Example:
        >>> speech = np.concatenate([np.ones(900), np.zeros(100), np.ones(600)])
        >>> split_at_pauses(speech, 1000, 1.2)
        [(0, 910), (910, 1600)]
    """
    longest, frame = round(max_s * sample_rate), max(1, round(_FRAME_S * sample_rate))
    pieces, start = [], 0
    while len(speech) - start > longest:
        search = speech[start + longest // 2 : start + longest]
        frames = search[: len(search) // frame * frame].reshape(-1, frame)
        quietest = int(np.argmin(np.square(frames, dtype=np.float64).sum(axis=1)))
        end = start + longest // 2 + quietest * frame + frame // 2
        pieces.append((start, end))
        start = end
    return [*pieces, (start, len(speech))]
