"""From the paths of sound to impulse responses: each arrival becomes an impulse at its delay, of its strength."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cse.errors import MissingExtraError

SPEED_OF_SOUND_M_PER_S = 343.0
EARLY_S = 0.050
# Images all have the same sign and add up coherently below the lowest room modes, far above what a room does;
# phones and laptops cut these frequencies too.
HIGH_PASS_HZ = 50.0


@dataclass(frozen=True)
class Paths:
    """Ways that sound takes from a talker to a microphone, I of them.

    Attributes:
        lengths_m: How long they are, (I,).
        reflections: At how many walls each was reflected, (I,).
        gains: Amplitude on arrival if walls absorbed nothing, (I,); that of 1 m straight ahead is 1.
    """

    lengths_m: np.ndarray
    reflections: np.ndarray
    gains: np.ndarray


@dataclass(frozen=True)
class Rirs:
    """Room impulse responses of one room: each (S, M, T) float32, S talkers, M microphones, T samples.

    Sample 0 is when the sound leaves the mouth, so the direct path of d metres peaks at d / 343 m/s, and
    parts that are convolved with the same signal are aligned with one another. A direct path of 1 m has
    amplitude 1.

    Attributes:
        direct: The direct path alone: its delay and its attenuation.
        early: All that arrives up to 50 ms after the direct path.
        reverberant: Everything up to the reverberation time.
    """

    direct: np.ndarray
    early: np.ndarray
    reverberant: np.ndarray
    sample_rate: int


def draw_rirs(
    paths: Sequence[Sequence[Paths]], *, absorption: float, reach_m: float, sample_rate: int
) -> Rirs:
    """Draw the impulse responses of a room.

    Args:
        paths: From every talker to every microphone.
        absorption: Part of the energy that every wall swallows, 0..1.
        reach_m: Length of the longest path that is drawn.
        sample_rate: In Hz.

    Raises:
        MissingExtraError: pyroomacoustics is not installed.
    """
    samples = math.ceil(reach_m / SPEED_OF_SOUND_M_PER_S * sample_rate) + 1
    parts = np.zeros((3, len(paths), len(paths[0]), samples), dtype=np.float32)
    for s, of_talker in enumerate(paths):
        for m, one in enumerate(of_talker):
            gains = (1 - absorption) ** (one.reflections / 2) * one.gains
            direct_m = one.lengths_m.min()
            for part, last_m in enumerate((direct_m, direct_m + EARLY_S * SPEED_OF_SOUND_M_PER_S, reach_m)):
                heard = one.lengths_m <= last_m
                parts[part, s, m] = _draw(one.lengths_m[heard], gains[heard], sample_rate, samples)
    direct, early, reverberant = high_pass(parts, sample_rate)
    return Rirs(direct, early, reverberant, sample_rate)


def high_pass(rirs: np.ndarray, sample_rate: int) -> np.ndarray:
    """Take out what lies below `HIGH_PASS_HZ`, along the last axis."""
    from scipy.signal import butter, sosfilt

    return sosfilt(butter(2, HIGH_PASS_HZ, "highpass", fs=sample_rate, output="sos"), rirs, axis=-1).astype(
        np.float32
    )


def missing_pyroomacoustics() -> MissingExtraError:
    """The error of everything here that pyroomacoustics does."""
    return MissingExtraError(feature="simulating rooms", extra="simulate", package="pyroomacoustics")


def _draw(lengths_m: np.ndarray, gains: np.ndarray, sample_rate: int, samples: int) -> np.ndarray:
    """Impulses at fractional delays as windowed sincs: (samples,) float32, sample 0 at emission."""
    try:
        from pyroomacoustics import constants, libroom
    except ImportError as error:
        raise missing_pyroomacoustics() from error
    taps = int(constants.get("frac_delay_length"))
    # the builder wants room on both sides of an impulse; what a sinc has before the emission is cut off
    before = taps // 2
    padded = np.zeros(samples + 2 * taps, dtype=np.float32)
    delays_s = (lengths_m / SPEED_OF_SOUND_M_PER_S + before / sample_rate).astype(np.float32)
    # one thread: each thread sums its own share, so the rounding of the sum would depend on the machine
    granularity = int(constants.get("sinc_lut_granularity"))
    libroom.rir_builder(padded, delays_s, gains.astype(np.float32), sample_rate, taps, granularity, 1)
    return padded[before : before + samples]
