"""From speech to the identity of who speaks: what a voice encoder is, and what all of them share."""

from __future__ import annotations

from typing import Protocol

import numpy as np

VOICE_RATE_HZ = 16000
"""Sample rate that the encoders here work at."""

SILENCE_PEAK = 1e-4
"""What never exceeds this (-80 dB below full scale) holds no speech; recognisers make words up from it."""

WINDOW_S = 1.6
"""Stretch of speech whose loudness is judged as one."""

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
    """

    name: str

    def embed(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Speaker embedding (D,) float32, of length 1 or zeros for silence, of (T,) at `sample_rate` Hz."""
        ...


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
