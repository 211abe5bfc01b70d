"""When each talker of a mixture begins, and how much of them is heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulate.rooms import Range


@dataclass(frozen=True)
class Overlap:
    """How one talker lies over those before it in the list.

    Attributes:
        ratio: Part of the shorter of the two (this talker, and the others from their begin to their end) during which
            both talk: 0 one after the other, 1 the shorter within the longer.
        place: Which of the ways to do that, 0 to 1: before or after the others; anywhere where one is within the other.
    """

    ratio: float
    place: float


@dataclass(frozen=True)
class Timing:
    """The draws for one mixture, made before lengths are known.

    Attributes:
        overlaps: One a talker but for the first; None: all begin at once.
        cut: All talkers are cut to the length of the shortest.
    """

    overlaps: tuple[Overlap, ...] | None = None
    cut: bool = False

    def cut_to_shortest(self, talkers: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The talkers, (T_s,) each, or their beginnings; who is silent in there is cut from the first sound on."""
        shortest = min(len(talker) for talker in talkers)
        return [_begun(talker, shortest) if self.cut else talker for talker in talkers]

    def begins(self, lengths: Sequence[int]) -> list[int]:
        """The sample with which each talker begins; the first of all begins with 0.

        Args:
            lengths: Samples of each talker.

        >>> Timing().begins([100, 80])
        [0, 0]
        >>> Timing(overlaps=(Overlap(0.25, 0.9),)).begins([100, 80])
        [0, 80]
        >>> Timing(overlaps=(Overlap(0.25, 0.1),)).begins([100, 80])
        [60, 0]
        >>> Timing(overlaps=(Overlap(1.0, 0.5),)).begins([100, 80])
        [0, 10]
        """
        if self.overlaps is None:
            return [0] * len(lengths)
        begins, first, last = [0], 0, lengths[0]
        for length, overlap in zip(lengths[1:], self.overlaps, strict=True):
            begins.append(_begin(first, last, length, overlap))
            first, last = min(first, begins[-1]), max(last, begins[-1] + length)
        return [begin - first for begin in begins]


def draw_timing(
    rng: np.random.Generator, *, talkers: int, overlap: Range | None, cut_probability: float
) -> Timing:
    """Draw the timing of one mixture.

    Args:
        rng: Decides.
        talkers: Talkers in the mixture, S.
        overlap: Range of the ratio; None: all begin at once.
        cut_probability: That all are cut to the shortest.
    """
    cut = bool(rng.random() < cut_probability)
    if overlap is None:
        return Timing(cut=cut)
    return Timing(
        overlaps=tuple(
            Overlap(float(rng.uniform(*overlap)), float(rng.random())) for _ in range(talkers - 1)
        ),
        cut=cut,
    )


def _begun(talker: np.ndarray, samples: int) -> np.ndarray:
    """So many samples of a talker (T,): the first ones, or, where these are digital silence, from the first sound on.

    >>> _begun(np.array([0.0, 0.5, 0.0, 0.0]), 2).tolist(), _begun(np.array([0.0, 0.0, 0.0, 0.5]), 2).tolist()
    ([0.0, 0.5], [0.0, 0.5])
    """
    start = 0
    if not np.any(talker[:samples]):
        start = min(int(np.argmax(talker != 0)), len(talker) - samples)
    return talker[start : start + samples]


def _begin(first: int, last: int, length: int, overlap: Overlap) -> int:
    """Where a talker of `length` samples begins to overlap those from `first` to `last`."""
    shortest = min(last - first, length)
    shared = round(overlap.ratio * shortest)
    before, after = first + shared - length, last - shared
    if shared < shortest:
        return before if overlap.place < 0.5 else after
    earliest, latest = min(before, after), max(before, after)
    return earliest + int(overlap.place * (latest - earliest))
