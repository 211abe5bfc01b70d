"""Adding voices up: levels, signal-to-noise ratios, lengths.

The rule is the one of Kim et al., "Contextual Speech Extraction" (arXiv 2503.08798): every talker is normalised
to a peak of 0.9, interferers are scaled to a random SNR measured over whole utterances, the shorter signal is
padded with silence, and the sum is normalised to a peak of 0.9 again. Dynamic mixing in training and the
renderer of fixed test sets both come here, so that they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PEAK = 0.9


def peak_normalize(signal: np.ndarray, peak: float = PEAK) -> np.ndarray:
    """Scale a signal of any shape so that its largest magnitude is `peak`; silence stays silence.

    >>> peak_normalize(np.array([0.1, -0.2], dtype=np.float32), peak=0.5).tolist()
    [0.25, -0.5]
    """
    largest = float(np.max(np.abs(signal), initial=0.0))
    return signal * np.float32(peak / largest) if largest > 0 else signal


def sample_snr_db(
    rng: np.random.Generator, *, mean_db: float = 0.0, std_db: float = 4.0, limit_db: float = 5.0
) -> float:
    """Draw how much louder the target is than one interferer, in dB: a normal draw clipped to ±`limit_db`."""
    return float(np.clip(rng.normal(mean_db, std_db), mean_db - limit_db, mean_db + limit_db))


def snr_db(reference: np.ndarray, signal: np.ndarray) -> float:
    """Energy of `reference` over energy of `signal` in dB, each taken over its whole length.

    >>> round(snr_db(np.ones(10), 0.1 * np.ones(10)), 6)
    20.0
    """
    return float(10 * np.log10(_energy(reference) / _energy(signal)))


def scale_to_snr(reference: np.ndarray, signal: np.ndarray, snr: float) -> np.ndarray:
    """Scale `signal` so that `reference` is `snr` dB stronger; a silent signal or reference changes nothing.

    >>> scaled = scale_to_snr(np.ones(100), np.ones(100), 6.0)
    >>> round(snr_db(np.ones(100), scaled), 6)
    6.0
    """
    if not np.any(reference) or not np.any(signal):
        return signal
    gain = np.sqrt(_energy(reference) / _energy(signal) / 10 ** (snr / 10))
    return signal * np.asarray(gain, dtype=signal.dtype)


@dataclass(frozen=True)
class Mix:
    """A mixture and what it is made of, all at the level they have in it.

    Attributes:
        mixture: (T,) float32, the sum of `sources` (and of `noise`, where there is one).
        sources: (S, T) float32, target first.
        noise: (T,) float32, or None.
    """

    mixture: np.ndarray
    sources: np.ndarray
    noise: np.ndarray | None


def mix(
    sources: Sequence[np.ndarray],
    snr: Sequence[float],
    *,
    noise: np.ndarray | None = None,
    noise_snr_db: float = 0.0,
    length: int | None = None,
) -> Mix:
    """Add talkers up: the first is the target, interferer i lies `snr[i]` dB below it (above it, if negative).

    Args:
        sources: One (T_s,) float array a talker, target first. Shorter ones are padded with silence.
        snr: Target-to-interferer ratios in dB, one fewer than sources.
        noise: (T_n,) ambient noise, or None; shorter than the mixture it is repeated.
        noise_snr_db: Energy of the summed talkers over that of the noise, in dB.
        length: Samples of the mixture; None means those of the longest talker.

    Returns:
        The sum, peak-normalised to 0.9, with every part scaled alike.

    Raises:
        ValueError: If the number of ratios does not fit the number of talkers.
    """
    if len(snr) != len(sources) - 1:
        raise ValueError(f"got {len(snr)} SNRs for {len(sources)} talkers, expected {len(sources) - 1}")
    target = peak_normalize(np.asarray(sources[0], dtype=np.float32))
    interferers = [peak_normalize(np.asarray(source, dtype=np.float32)) for source in sources[1:]]
    scaled = [target] + [scale_to_snr(target, x, ratio) for x, ratio in zip(interferers, snr, strict=True)]
    samples = length if length is not None else max(len(source) for source in scaled)
    parts = np.stack([_fit(source, samples) for source in scaled])
    mixture = parts.sum(axis=0)
    if noise is not None:
        repeats = -(-samples // max(1, len(noise)))
        noise = scale_to_snr(mixture, np.tile(noise, repeats)[:samples].astype(np.float32), noise_snr_db)
        mixture = mixture + noise
    largest = float(np.max(np.abs(mixture), initial=0.0))
    gain = np.float32(PEAK / largest) if largest > 0 else np.float32(1.0)
    return Mix(mixture * gain, parts * gain, None if noise is None else noise * gain)


def _energy(signal: np.ndarray) -> float:
    return float(np.sum(np.square(signal, dtype=np.float64)))


def _fit(signal: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(signal[:samples], (0, max(0, samples - len(signal))))
