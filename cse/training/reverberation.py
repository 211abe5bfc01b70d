"""Rooms for training mixtures: those of a bank, or decaying noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
import scipy.fft

from simulate.bank import RirBank
from simulate.reverberation import decaying_noise
from simulate.rirs import EARLY_S

Wanted = Literal["dry", "early", "reverberant"]


class TrainingRirs(NamedTuple):
    """Impulse responses from S talkers at different places of one room to one microphone, each (T_h,) float32.

    Attributes:
        heard: What the mixture is made with.
        wanted: What the targets are made with; None where that is the same.
    """

    heard: Sequence[np.ndarray]
    wanted: Sequence[np.ndarray] | None


class Rooms(Protocol):
    """Draws rooms."""

    def draw(self, talkers: int, rng: np.random.Generator) -> TrainingRirs: ...


class BankRooms:
    """Rooms that were simulated once; each talker stands at a place of its own, which of them is drawn.

    Args:
        bank: The rooms, with as many talkers at least as the mixtures have.
        wanted: Dry (direct path alone), early (50 ms of reflections too) or reverberant.
    """

    def __init__(self, bank: RirBank, wanted: Wanted) -> None:
        self._bank = bank
        self._wanted = wanted

    def draw(self, talkers: int, rng: np.random.Generator) -> TrainingRirs:
        """A room for `talkers` talkers."""
        room = self._bank.room(int(rng.integers(len(self._bank))))
        rirs = room.rirs(self._bank.sample_rate)
        places = rng.permutation(room.talkers)[:talkers]
        parts = {"dry": rirs.direct, "early": rirs.early, "reverberant": None}[self._wanted]
        return TrainingRirs(
            heard=[rirs.reverberant[place, 0] for place in places],
            wanted=None if parts is None else [parts[place, 0] for place in places],
        )


class NoiseRooms:
    """Decaying noise instead of a room (`simulate.reverberation`); the direct sound comes without delay at full level.

    Args:
        rt60_s: Range of its decay in seconds.
        direct_to_reverberant_db: Range of the direct sound's energy over that of the reverberation.
        sample_rate: In Hz.
        wanted: As for `BankRooms`.
    """

    def __init__(
        self,
        *,
        rt60_s: tuple[float, float],
        direct_to_reverberant_db: tuple[float, float],
        sample_rate: int,
        wanted: Wanted,
    ) -> None:
        self._rt60_s = rt60_s
        self._direct_to_reverberant_db = direct_to_reverberant_db
        self._sample_rate = sample_rate
        self._wanted_samples = {"dry": 1, "early": round(EARLY_S * sample_rate), "reverberant": None}[wanted]

    def draw(self, talkers: int, rng: np.random.Generator) -> TrainingRirs:
        """Responses of one decay for `talkers` talkers."""
        rt60_s = float(rng.uniform(*self._rt60_s))
        heard = [
            decaying_noise(
                rng,
                rt60_s=rt60_s,
                direct_to_reverberant_db=float(rng.uniform(*self._direct_to_reverberant_db)),
                sample_rate=self._sample_rate,
            )
            for _ in range(talkers)
        ]
        kept = self._wanted_samples
        return TrainingRirs(heard, None if kept is None else [rir[:kept] for rir in heard])


def reverberate(segments: np.ndarray, rirs: TrainingRirs) -> tuple[np.ndarray, np.ndarray | None]:
    """What arrives of segments (S, T) float32 within their time.

    Returns:
        The talkers as they are heard, and as they are wanted where that is not the same: (S, T) float32 each.
    """
    talkers, samples = segments.shape
    responses = [*rirs.heard, *(rirs.wanted or ())]
    longest = max(len(response) for response in responses)
    # all at once, because Fourier transforms of four signals together take little longer than that of one
    signals = np.zeros(
        (talkers + len(responses), scipy.fft.next_fast_len(samples + longest - 1, real=True)), np.float32
    )
    signals[:talkers, :samples] = segments
    for row, response in zip(signals[talkers:], responses, strict=True):
        row[: len(response)] = response
    spectra = scipy.fft.rfft(signals)
    products = spectra[talkers:].reshape(-1, talkers, spectra.shape[-1]) * spectra[:talkers]
    arrived = scipy.fft.irfft(products, signals.shape[-1])[..., :samples]
    return arrived[0], arrived[1] if rirs.wanted is not None else None
