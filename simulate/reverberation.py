"""Reverberation without a room: decaying noise, quick enough to be drawn anew for every training mixture."""

from __future__ import annotations

import numpy as np

_DIRECT_S = 0.002  # reflections arrive later than the direct sound
_DECAY = np.log(1000)  # 60 dB as a ratio of amplitudes


def decaying_noise(
    rng: np.random.Generator, *, rt60_s: float, direct_to_reverberant_db: float, sample_rate: int
) -> np.ndarray:
    """An impulse response by Polack's model (1988): the direct sound, then noise that decays by 60 dB in `rt60_s`.

    Args:
        rng: Draws the noise.
        rt60_s: Reverberation time in seconds.
        direct_to_reverberant_db: Energy of the direct sound over that of the tail.
        sample_rate: In Hz.

    Returns:
        (T,) float32, 1 at the first sample.

    >>> rir = decaying_noise(np.random.default_rng(0), rt60_s=0.2, direct_to_reverberant_db=6.0, sample_rate=8000)
    >>> len(rir), round(float(10 * np.log10(1 / np.square(rir[1:]).sum())), 3)
    (1600, 6.0)
    """
    time_s = np.arange(round(rt60_s * sample_rate)) / sample_rate
    tail = rng.standard_normal(len(time_s)) * np.exp(-_DECAY * time_s / rt60_s) * (time_s > _DIRECT_S)
    energy = np.square(tail).sum()
    rir = tail * np.sqrt(10 ** (-direct_to_reverberant_db / 10) / max(energy, 1e-12))
    rir[0] = 1.0
    return rir.astype(np.float32)
