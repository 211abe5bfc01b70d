"""Voices at their level in the mixture, by what was heard so far."""

from __future__ import annotations

import numpy as np

from cse.models.levels import above_silence
from cse.models.overlapping_windows import level_gains, level_products


class RunningLevels:
    """Gives estimates of any level their level in the mixture; see `cse.models.overlapping_windows.levelled`.

    The gains change from one block to the next, by all blocks before, in a straight line; so they do not depend on how
    the stream was cut. In the first block they are 1.

    Args:
        talkers: Number of estimates S.
        block: Samples from one set of gains to the next.

    >>> talkers = np.random.default_rng(0).standard_normal((2, 8000), np.float32)
    >>> levels = RunningLevels(talkers=2, block=1000)
    >>> levelled = levels.push(np.array([[3.0], [0.1]]) * talkers, talkers.sum(0))
    >>> bool(np.allclose(levelled[:, -1000:], talkers[:, -1000:], atol=0.2))
    True
    """

    def __init__(self, *, talkers: int, block: int) -> None:
        self._block = block
        self._filled = 0
        self._products = np.zeros((talkers, talkers + 1))
        self._before = self._now = np.ones(talkers, np.float32)

    def push(self, estimates: np.ndarray, mixture: np.ndarray) -> np.ndarray:
        """The next estimates (S, T), and the mixture (T,) that they are of -> (S, T) float32."""
        result = np.empty(estimates.shape, np.float32)
        start = 0
        while start < len(mixture):
            part = slice(start, start + self._block - self._filled)
            result[:, part] = self._levelled(estimates[:, part])
            self._products += level_products(estimates[:, part], mixture[part])
            start += result[:, part].shape[1]
            if self._filled == self._block:
                self._next_block()
        return result

    def _levelled(self, estimates: np.ndarray) -> np.ndarray:
        places = self._filled + np.arange(1, estimates.shape[1] + 1)
        self._filled += len(places)
        share = (places / self._block).astype(np.float32)
        gains = self._before[:, np.newaxis] + (self._now - self._before)[:, np.newaxis] * share
        levelled: np.ndarray = gains * estimates
        return levelled

    def _next_block(self) -> None:
        self._filled = 0
        self._before = self._now
        gains = level_gains(self._products)
        powers = gains**2 * self._products.diagonal()
        heard = above_silence(powers)
        if heard.any():
            # who has said nothing yet has no level: the gain of the loudest, until there is one
            self._now = np.where(heard, gains, gains[powers.argmax()]).astype(np.float32)
