"""Who is who from one window of a recording to the next."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from cse.encoders.voice import VoiceEncoder
from cse.models.levels import above_silence, speech_levels

COMPARED_ABOVE_DB = 25.0
"""What is further below the loudest talker is not compared sample by sample."""

_SURE_MARGIN = 0.5  # of the best order's correlation over the next; one talker who was recognised brings 1
_VOICE_WEIGHT = 4.0  # cosines of one talker and of two differ by about 0.25: worth one recognised talker


@dataclass(frozen=True)
class VoiceComparison:
    """How voices are told apart where two windows have too little in common.

    Attributes:
        encoder: Tells voices apart.
        sample_rate: Of the estimates, in Hz.
        same_above: The cosine above which two voices are rather of one talker than of two.
    """

    encoder: VoiceEncoder
    sample_rate: int
    same_above: float

    def embed(self, voice: np.ndarray) -> np.ndarray:
        """Speaker embedding (D,) of (T,), of length 1 or zeros for silence."""
        return self.encoder.embed(voice, self.sample_rate)


class TalkerTracks:
    """Finds each talker of the windows so far among the estimates of the next one.

    Neighbouring windows share a stretch; where two or more talkers speak in it, or all but one, the estimates are
    recognised sample by sample. Where that leaves it open, because nobody speaks there, or one of three, the voices
    decide: only then are they asked, and each talker's is the mean over the windows that were listened to.

    Args:
        sample_rate: Of the estimates, in Hz.
        voices: None where there is no voice encoder; then what little correlation there is decides.

    >>> talkers = np.random.default_rng(0).standard_normal((3, 16_000), np.float32)
    >>> tracks = TalkerTracks(sample_rate=16_000)
    >>> tracks.begin(talkers)
    >>> tracks.follow(talkers[:, 12_000:], talkers[[2, 0, 1], 12_000:])
    [1, 2, 0]
    """

    def __init__(self, *, sample_rate: int, voices: VoiceComparison | None = None) -> None:
        self._sample_rate = sample_rate
        self._voices = voices
        self._loudest = 0.0
        self._sums: dict[int, np.ndarray] = {}  # of the speaker embeddings of each talker
        self._unheard: dict[
            int, np.ndarray
        ] = {}  # the last speech of each talker that is not in the sums yet

    def begin(self, estimates: np.ndarray) -> None:
        """Name the talkers of the first window, (S, T), by their place."""
        self._remember(estimates, {})

    def follow(self, tail: np.ndarray, estimates: np.ndarray) -> list[int]:
        """Order of the estimates that gives each talker its place.

        Args:
            tail: (S, O) the end of the window before, in the order of the talkers.
            estimates: (S, T) of the next window, which begins with the same stretch.

        Returns:
            For each talker, which of the estimates it is.
        """
        levels = speech_levels(estimates, self._sample_rate)
        self._loudest = max(self._loudest, float(levels.max()))
        scores = self._correlations(tail, estimates[:, : tail.shape[1]])
        order, margin = _best(scores)
        heard: dict[int, np.ndarray] = {}
        if self._voices is not None and margin < _SURE_MARGIN:
            speaking = above_silence(levels, self._loudest).nonzero()[0].tolist()
            heard = {index: self._voices.embed(estimates[index]) for index in speaking}
            order, _ = _best(scores + _VOICE_WEIGHT * self._similarities(heard, len(estimates)))
        self._remember(estimates[order], {order.index(index): vector for index, vector in heard.items()})
        return order

    def _correlations(self, tail: np.ndarray, head: np.ndarray) -> np.ndarray:
        """(S, S) from talkers to estimates: 1 where both are the same and the loudest, less for quieter talkers."""
        floor = max((self._loudest * 10 ** (-COMPARED_ABOVE_DB / 10) * tail.shape[1]) ** 0.5, 1e-12)
        before, after = (np.linalg.norm(part, axis=1).clip(min=floor) for part in (tail, head))
        correlations = tail @ head.T / np.outer(before, after)
        # what one talker leaves in an output without a talker resembles that talker, at a low level
        loudness = np.sqrt(np.outer(before, after) / max(before.max(), after.max()) ** 2)
        scores: np.ndarray = correlations * loudness
        return scores

    def _similarities(self, heard: dict[int, np.ndarray], count: int) -> np.ndarray:
        """(S, S) by how much each estimate sounds more like each talker than two talkers do."""
        assert self._voices is not None
        for place, speech in self._unheard.items():
            self._learn(place, self._voices.embed(speech))
        self._unheard = {}
        similarities = np.zeros((count, count))  # a place where nobody has spoken yet is open to everybody
        for place, total in self._sums.items():
            length = max(float(np.linalg.norm(total)), 1e-12)
            for index, vector in heard.items():
                similarities[place, index] = float(total @ vector) / length - self._voices.same_above
        return similarities

    def _remember(self, talkers: np.ndarray, heard: dict[int, np.ndarray]) -> None:
        """Keep the last speech of each talker, or its embedding where it is known already."""
        if self._voices is None:
            return
        levels = speech_levels(talkers, self._sample_rate)
        self._loudest = max(self._loudest, float(levels.max()))
        for place in above_silence(levels, self._loudest).nonzero()[0].tolist():
            if place in heard:
                self._learn(place, heard[place])
            else:
                self._unheard[place] = talkers[place]

    def _learn(self, place: int, vector: np.ndarray) -> None:
        self._sums[place] = self._sums.get(place, 0.0) + vector


class NotedTracks(TalkerTracks):
    """Remembers in which order the estimates of each window came, for what else a network says of each of them.

    Attributes:
        orders: Of each window so far, what `follow` returned.
    """

    def __init__(self, *, sample_rate: int) -> None:
        super().__init__(sample_rate=sample_rate)
        self.orders: list[list[int]] = []

    def begin(self, estimates: np.ndarray) -> None:
        """See `TalkerTracks.begin`."""
        super().begin(estimates)
        self.orders.append(list(range(len(estimates))))

    def follow(self, tail: np.ndarray, estimates: np.ndarray) -> list[int]:
        """See `TalkerTracks.follow`."""
        self.orders.append(super().follow(tail, estimates))
        return self.orders[-1]


def _best(scores: np.ndarray) -> tuple[list[int], float]:
    """The order with the highest sum of scores (S, S), and by how much it is higher than the next."""
    rows = np.arange(len(scores))
    orders = sorted(
        ((float(scores[rows, list(order)].sum()), order) for order in permutations(range(len(scores)))),
        key=lambda one: one[0],
        reverse=True,
    )
    margin = orders[0][0] - orders[1][0] if len(orders) > 1 else np.inf
    return list(orders[0][1]), margin
