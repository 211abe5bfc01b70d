"""Separating recordings of any length, in NumPy: overlapping windows whose talkers are kept in the same order."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np

from cse.errors import CancelledError
from cse.models.levels import above_silence, speech_levels
from cse.models.talker_tracks import TalkerTracks

Separate = Callable[[np.ndarray], np.ndarray]

TRAINING_PEAK = 0.9  # that of every mixture made by simulate.mixing.mix
_BLOCK = 2**20


def separate_windows(
    separate: Separate,
    mixture: np.ndarray,
    *,
    window: int,
    overlap: int,
    sample_rate: int,
    tracks: TalkerTracks | None = None,
    dtype: type[np.floating] = np.float32,
    should_stop: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Separate window by window, all of one length; talkers are followed from one window to the next.

    Of a recording of several windows, an output stays 0 until somebody has spoken in it: a network for three that hears
    two for an hour takes the memory of two.

    Args:
        separate: (T,) float32 mixture -> (S, T) float32 estimates of any level. It is given mixtures with a peak of 0.9
            around 0, as in training, so that a whisper is separated like a shout.
        mixture: (T,) waveform of any floating point type.
        window: Samples separated at once, at most; a shorter recording is separated whole.
        overlap: Samples that neighbours share, faded into each other.
        sample_rate: Of the mixture, in Hz.
        tracks: Tells who is who; None is by correlation alone.
        dtype: Of the result, which is what takes memory.
        should_stop: Asked before every window.

    Returns:
        (S, T), at their level in the mixture.

    Raises:
        CancelledError: If `should_stop` said so.

    >>> mixture = np.sin(np.arange(1000.0))
    >>> halves = separate_windows(lambda x: np.stack([x, x]), mixture, window=400, overlap=100, sample_rate=8000)
    >>> halves.shape
    (2, 1000)
    """
    tracks = tracks or TalkerTracks(sample_rate=sample_rate)
    result = tail = np.zeros((0, 0), np.float32)
    spoken, loudest = np.zeros(0, bool), 0.0
    for start, end in _windows(len(mixture), window=window, overlap=overlap):
        if should_stop is not None and should_stop():
            raise CancelledError("extraction was stopped before it was complete")
        piece = mixture[start:end].astype(np.float32)
        estimates = levelled(separate(at_training_level(piece)), piece)
        if start == 0:
            result = np.zeros((len(estimates), len(mixture)), dtype)  # takes memory where it is written
            spoken = np.full(len(estimates), end == len(mixture))
            tracks.begin(estimates)
        else:
            estimates = estimates[tracks.follow(tail, estimates)]
            fade = np.linspace(0, 1, overlap, dtype=np.float32)
            estimates[:, :overlap] = (1 - fade) * tail + fade * estimates[:, :overlap]
        levels = speech_levels(estimates, sample_rate)
        loudest = max(loudest, float(levels.max()))
        spoken |= above_silence(levels, loudest)
        result[spoken, start:end] = estimates[spoken]
        tail = estimates[:, end - start - overlap :].copy()
    return result


def _windows(samples: int, *, window: int, overlap: int) -> list[tuple[int, int]]:
    """First sample and end of each window: as few as there can be, as equal as they can be.

    A short one at the end would be separated with nothing around it.
    """
    if samples <= window:
        return [(0, samples)]
    count = math.ceil((samples - overlap) / (window - overlap))
    starts = [round(index * (samples - overlap) / count) for index in range(count + 1)]
    return [(start, following + overlap) for start, following in pairwise(starts)]


def at_training_level(mixture: np.ndarray) -> np.ndarray:
    """A mixture (T,) float32 without offset, as microphones have one, and with the peak of the training mixtures.

    >>> round(float(at_training_level(np.array([1.0, 0.0, 0.5], np.float32)).max()), 3)
    0.9
    """
    centred = mixture - mixture.mean()
    scaled: np.ndarray = centred * np.float32(TRAINING_PEAK / max(float(np.abs(centred).max()), 1e-6))
    return scaled


def levelled(estimates: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """Give each estimate its level in the mixture: the gains whose sum comes nearest to the mixture (least squares).

    Args:
        estimates: (S, T) floating point, any level.
        mixture: (T,) floating point.

    Returns:
        (S, T) float32. Gains are not negative, and the nearest of those that are not; a silent estimate stays silent.

    >>> talkers = np.random.default_rng(0).standard_normal((2, 8000))
    >>> bool(np.allclose(levelled(np.array([[3.0], [0.1]]) * talkers, talkers.sum(0)), talkers, atol=1e-3))
    True
    """
    products = np.zeros((len(estimates), len(estimates) + 1))
    for start in range(0, len(mixture), _BLOCK):
        products += level_products(estimates[:, start : start + _BLOCK], mixture[start : start + _BLOCK])
    return estimates.astype(np.float32) * level_gains(products)[:, np.newaxis]


def level_products(estimates: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """What `level_gains` needs of a stretch of estimates (S, T) and mixture (T,): (S, S + 1), to be added up."""
    exact = estimates.astype(np.float64)
    products: np.ndarray = exact @ np.vstack([exact, mixture]).T
    return products


def level_gains(products: np.ndarray) -> np.ndarray:
    """The gains (S,) float32 that give each estimate its level in the mixture; see `levelled`."""
    among, with_mixture = products[:, :-1], products[:, -1]
    norms = np.sqrt(among.diagonal()).clip(min=1e-12)
    ridge = 1e-6 * np.eye(len(among))  # for estimates that are silent or all the same
    gains = _not_negative(among / np.outer(norms, norms) + ridge, with_mixture / norms)
    return np.asarray((gains / norms).astype(np.float32))


def _not_negative(among: np.ndarray, with_mixture: np.ndarray) -> np.ndarray:
    """The gains (S,) of least squares, or where one of them is negative, the best without some of the estimates.

    >>> _not_negative(np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([1.0, 0.2])).tolist()
    [1.0, 0.0]
    """
    everybody: np.ndarray = np.linalg.solve(among, with_mixture)
    if (everybody >= 0).all():
        return everybody
    best, explained = np.zeros_like(everybody), 0.0
    for count in range(1, len(among)):
        for some in map(list, combinations(range(len(among)), count)):
            gains = np.linalg.solve(among[np.ix_(some, some)], with_mixture[some])
            power = float(gains @ with_mixture[some])
            if (gains >= 0).all() and power > explained:
                best, explained = np.zeros_like(everybody), power
                best[some] = gains
    return best
