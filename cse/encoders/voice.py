"""From speech to the identity of who speaks: what a voice encoder is, and what all of them share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from cse.errors import ConfigError

VOICE_RATE_HZ = 16000
"""Sample rate that the encoders here work at."""

SILENCE_PEAK = 1e-4
"""What never exceeds this (-80 dB below full scale) holds no speech; recognisers make words up from it."""

WINDOW_S = 1.6
"""Stretch of speech whose loudness is judged as one."""

_FRAME_S, _STRETCH_FRAMES, _SPEECH_RANGE_DB = 0.02, 20, 25.0

LOUD_RANGE_DB = 10.0
"""A window that is more than this below the loudest one is not taken for the talker's own speech.

Where a separated talker is silent, the other one's residue is all that is left; a mean over everything takes
the voice for a blend of both.
"""


class VoiceEncoder(Protocol):
    """Tells voices apart: vectors of one talker's utterances point in nearly one direction.

    Safe to call from several threads.

    Attributes:
        name: Under which a `Calibration` keeps the weights for these vectors.
        identity: Name and weights: vectors can be compared only where it is the same.
    """

    name: str
    identity: str

    def embed(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Speaker embedding (D,) float32, of length 1 or zeros for silence, of (T,) at `sample_rate` Hz."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class SpeakerEmbedding:
    """How a talker sounds: what `Extractor.extract` takes for an enrollment where there is no recording of one.

    Attributes:
        vector: (D,) float32 of length 1; zeros for silence.
        encoder: `identity` of the voice encoder that it is from.
        speech_s: How much speech it is from, in seconds.
        same_above: The cosine above which another one is rather of the same talker than of any other.
    """

    vector: np.ndarray
    encoder: str
    speech_s: float
    same_above: float

    @classmethod
    def of(
        cls, waveform: np.ndarray, sample_rate: int, *, encoder: VoiceEncoder, same_above: float
    ) -> SpeakerEmbedding:
        """Embed one voice, (T,) float32 at `sample_rate` Hz."""
        return cls(
            vector=encoder.embed(waveform, sample_rate),
            encoder=encoder.identity,
            speech_s=speech_duration_s(waveform, sample_rate),
            same_above=same_above,
        )

    def vector_for(self, encoder: VoiceEncoder) -> np.ndarray:
        """The vector, to be compared with those of `encoder`.

        Raises:
            ConfigError: It is from another encoder, or from other weights.
        """
        if encoder.identity != self.encoder:
            raise ConfigError(
                f"got a speaker embedding of the voice encoder {self.encoder}, expected one of {encoder.identity}; "
                "load the extractor with the encoder that made it, or delete that voice and learn it anew"
            )
        return self.vector


def weights_identity(name: str, weights: Path) -> str:
    """An encoder's name with the beginning of its weights' sha256: what `VoiceEncoder.identity` is.

    Raises:
        OSError: The file cannot be read.
    """
    with weights.open("rb") as file:
        return f"{name}-{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def speech_duration_s(waveform: np.ndarray, sample_rate: int) -> float:
    """How long somebody speaks in (T,) at `sample_rate` Hz: frames of 20 ms within 25 dB of the loudest 0.4 s.

    Example:
        >>> tone = np.sin(np.arange(16000))
        >>> round(speech_duration_s(np.concatenate([tone, 0.01 * tone]), 16000), 2)
        1.0
    """
    frame = max(1, round(_FRAME_S * sample_rate))
    frames = waveform[: len(waveform) // frame * frame].reshape(-1, frame)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    if not len(power) or np.abs(waveform).max() < SILENCE_PEAK:
        return 0.0
    # not the loudest frame: that may be a click
    stretches = [
        power[start : start + _STRETCH_FRAMES].mean() for start in range(0, len(power), _STRETCH_FRAMES)
    ]
    return float(np.sum(power >= max(stretches) * 10 ** (-_SPEECH_RANGE_DB / 10))) * _FRAME_S


def loud_windows(power: np.ndarray) -> np.ndarray:
    """Tell which windows hold the talker's own speech, by their mean power: (W,) to (W,) bool.

    At least one is True.

    Example:
        >>> loud_windows(np.array([1.0, 0.2, 0.001])).tolist()
        [True, True, False]
    """
    return power >= power.max() * 10 ** (-LOUD_RANGE_DB / 10)


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector at length 1, float32; zeros stay zeros."""
    return (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
