"""Separation by a network that looks ahead: the last seconds again and again, and of each result what is new."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cse.errors import ConfigError
from cse.inference.cascade import Cascade
from cse.models.talker_tracks import TalkerTracks, VoiceComparison


@dataclass(frozen=True, kw_only=True)
class Windows:
    """How a network that looks ahead is used on a stream. A sample comes out after `hop_s` + `lookahead_s` at most.

    Every second of sound is separated window_s / hop_s times.

    Attributes:
        window_s: What is separated at once; less at the beginning of a stream.
        hop_s: From one separation to the next.
        lookahead_s: What the network has heard beyond the last sample that is given away; as long, one result
            fades into the next.

    Raises:
        ConfigError: They are not above 0, or do not fit into each other.

    >>> Windows(hop_s=0.5).latency_s
    1.0
    """

    window_s: float = 4.0
    hop_s: float = 1.0
    lookahead_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.lookahead_s <= self.hop_s <= self.window_s - self.lookahead_s:
            raise ConfigError(
                f"windows: got window_s={self.window_s:g}, hop_s={self.hop_s:g}, lookahead_s={self.lookahead_s:g}, "
                "expected 0 < lookahead_s <= hop_s <= window_s - lookahead_s; make the window longer"
            )

    @property
    def latency_s(self) -> float:
        """How long a sample takes to come out, at most, without the work."""
        return self.hop_s + self.lookahead_s


class WindowedSeparation:
    """One stream through any separator, in windows; talkers are followed from each to the next.

    Args:
        method: Separates.
        windows: How long they are.
        voices: Tells voices apart where two windows have too little in common; None is by correlation alone.
    """

    def __init__(self, method: Cascade, windows: Windows, *, voices: VoiceComparison | None = None) -> None:
        rate = method.sample_rate
        self._method = method
        self._window = round(windows.window_s * rate)
        self._hop = max(1, round(windows.hop_s * rate))
        self._lookahead = max(1, round(windows.lookahead_s * rate))
        self._tracks = TalkerTracks(sample_rate=rate, voices=voices)
        self._heard = np.zeros(0, np.float32)  # the mixture, as far back as the next window goes
        self._new = 0  # samples of it that are in no window yet
        self._before: np.ndarray | None = None  # (S, T) of the window before, in the order of the talkers

    @property
    def latency(self) -> int:
        """See `StreamingSeparation.latency`."""
        return self._hop + self._lookahead - 1

    def push(self, mixture: np.ndarray) -> np.ndarray:
        """See `StreamingSeparation.push`."""
        ready = [self._nothing()]
        while len(mixture):
            part, mixture = np.split(mixture, [self._hop - self._new])
            self._heard = np.concatenate([self._heard, part])
            self._new += len(part)
            if self._new == self._hop:
                ready.append(self._next(keep=self._lookahead))
        return np.concatenate(ready, axis=1)

    def flush(self) -> np.ndarray:
        """See `StreamingSeparation.flush`."""
        if self._new:
            return self._next(keep=0)
        return self._nothing() if self._before is None else self._before[:, -self._lookahead :]

    def _nothing(self) -> np.ndarray:
        return np.zeros((self._method.talkers, 0), np.float32)

    def _next(self, *, keep: int) -> np.ndarray:
        """Separate the last window, and give what is new of it but the last `keep` samples."""
        self._heard = self._heard[-self._window :].copy()
        estimates = np.asarray(self._method.separate(self._heard, None, quick=True), np.float32)
        before, new = self._before, self._new
        begin = len(self._heard) - new  # where the window before ended
        if before is None:
            self._tracks.begin(estimates)
        else:
            estimates = estimates[self._tracks.follow(before[:, before.shape[1] - begin :], estimates)]
            begin -= self._lookahead
            fade = np.linspace(0, 1, self._lookahead, dtype=np.float32)
            place = slice(begin, begin + self._lookahead)
            estimates[:, place] += (1 - fade) * (before[:, -self._lookahead :] - estimates[:, place])
        self._before, self._new = estimates, 0
        return estimates[:, begin : estimates.shape[1] - keep]
