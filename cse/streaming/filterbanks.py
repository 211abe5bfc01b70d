"""Filterbanks over sound that is still coming: frames as soon as their samples are there, and samples from them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from cse.errors import ConfigError
from cse.models.filterbanks import Filterbank, LearnedFilterbank, STFTFilterbank
from cse.models.truncating_filterbank import TruncatingFilterbank


class FilterbankStream(ABC):
    """One stream through a filterbank: what all pieces give together is what the filterbank gives of the whole.

    Args:
        window: Samples that a frame sees.
        hop: Samples from one frame to the next.
        lead: Samples of silence before the first one, which the first frame sees too.
    """

    def __init__(self, *, window: int, hop: int, lead: int) -> None:
        self.hop = hop
        self._window = window
        self._waiting = torch.zeros(1, lead)
        self._tail: Tensor | None = None
        self._leading = lead

    @property
    def latency(self) -> int:
        """Samples that have to come after one before it can come out, at most."""
        return self._window - 1

    def encode(self, samples: Tensor) -> Tensor | None:
        """(1, T) the next samples -> the representation of L frames; None as long as there is no whole one."""
        self._waiting = torch.cat([self._waiting.to(samples), samples], dim=1)
        frames = (self._waiting.shape[1] - self._window) // self.hop + 1
        if frames < 1:
            return None
        seen = self._waiting[:, : (frames - 1) * self.hop + self._window]
        self._waiting = self._waiting[:, frames * self.hop :].clone()
        return self._analyse(seen)

    def finish(self) -> Tensor | None:
        """As `encode`, when nothing comes any more."""
        padding = self._padding(self._waiting.shape[1])
        return None if padding is None else self.encode(self._waiting.new_zeros(1, padding))

    def decode(self, representations: Tensor) -> Tensor:
        """Representations of the next L frames of each talker -> (S, T) samples, which no later frame changes."""
        frames = self._synthesise(representations)
        if self._tail is not None:
            shared = self._tail.shape[-1]
            frames = torch.cat([frames[..., :shared] + self._tail, frames[..., shared:]], dim=-1)
        ready = frames.shape[-1] - (self._window - self.hop)
        self._tail = frames[..., ready:].clone()
        return self._after_lead(frames[..., :ready])

    def rest(self) -> Tensor | None:
        """(S, T) the samples behind the last frame."""
        return None if self._tail is None else self._after_lead(self._tail)

    def _after_lead(self, samples: Tensor) -> Tensor:
        left_out = min(self._leading, samples.shape[-1])
        self._leading -= left_out
        return self._weighed(samples)[..., left_out:]

    @abstractmethod
    def _analyse(self, seen: Tensor) -> Tensor:
        """(1, (L − 1) · hop + window) samples -> representation of L frames."""

    @abstractmethod
    def _synthesise(self, representations: Tensor) -> Tensor:
        """Representations of L frames -> their overlapping sum (S, (L − 1) · hop + window)."""

    @abstractmethod
    def _padding(self, waiting: int) -> int | None:
        """Silence behind the last sample, where `waiting` samples could begin a frame; None for no more frames."""

    def _weighed(self, samples: Tensor) -> Tensor:
        """What becomes of sums that are complete."""
        return samples


class LearnedStream(FilterbankStream):
    """One stream through a learned filterbank.

    Args:
        filterbank: Or the truncating one, whose last samples come out as silence.

    >>> bank = LearnedFilterbank(channels=4)
    >>> stream, sound = LearnedStream(bank), torch.randn(1, 48)
    >>> frames = torch.cat([stream.encode(sound[:, :20]), stream.encode(sound[:, 20:])], dim=-1)
    >>> bool(torch.allclose(frames, bank.encode(sound), atol=1e-6))
    True
    """

    def __init__(self, filterbank: LearnedFilterbank) -> None:
        super().__init__(window=filterbank.kernel_size, hop=filterbank.stride, lead=0)
        self._filterbank = filterbank
        self._any = False

    def _analyse(self, seen: Tensor) -> Tensor:
        self._any = True
        return F.relu(self._filterbank.analysis(seen.unsqueeze(1)))

    def _synthesise(self, representations: Tensor) -> Tensor:
        return self._filterbank.synthesis(representations[0]).squeeze(1)

    def _padding(self, waiting: int) -> int | None:
        covered = waiting <= (self._window - self.hop if self._any else 0)
        if covered or (self._any and isinstance(self._filterbank, TruncatingFilterbank)):
            return None
        return self._window - waiting


class STFTStream(FilterbankStream):
    """One stream through a short-time Fourier transform.

    Args:
        filterbank: Whose windows are around every `hop_size`-th sample, the first one included.

    >>> bank = STFTFilterbank(channels=18, hop_size=4)
    >>> stream, sound = STFTStream(bank), torch.randn(1, 64)
    >>> frames = torch.cat([stream.encode(sound), stream.finish()], dim=-1)
    >>> bool(torch.allclose(frames, bank.encode(sound), atol=1e-5))
    True
    """

    def __init__(self, filterbank: STFTFilterbank) -> None:
        window = filterbank.window_size
        super().__init__(window=window, hop=filterbank.hop_size, lead=window // 2)
        self._filterbank = filterbank

    def _analyse(self, seen: Tensor) -> Tensor:
        window = self._filterbank.window
        return torch.stft(seen, self._window, self.hop, window=window, center=False, return_complex=True)

    def _synthesise(self, representations: Tensor) -> Tensor:
        window = self._filterbank.window.unsqueeze(1)
        frames = torch.fft.irfft(representations[0], n=self._window, dim=1) * window
        # the last row is what the windows themselves add up to
        squares = window.square().expand(1, self._window, frames.shape[-1])
        length = (frames.shape[-1] - 1) * self.hop + self._window
        both = torch.cat([frames, squares])
        added = F.fold(both, (1, length), kernel_size=(1, self._window), stride=(1, self.hop))
        return added.flatten(1)

    def _padding(self, waiting: int) -> int | None:
        return self._window // 2

    def _weighed(self, samples: Tensor) -> Tensor:
        return samples[:-1] / samples[-1].clamp(min=1e-11)


def filterbank_stream(filterbank: Filterbank) -> FilterbankStream:
    """Begin a stream through a filterbank.

    Raises:
        ConfigError: There is none for filterbanks of this kind.
    """
    if isinstance(filterbank, LearnedFilterbank):
        return LearnedStream(filterbank)
    if isinstance(filterbank, STFTFilterbank):
        return STFTStream(filterbank)
    raise ConfigError(
        f"got a {type(filterbank).__name__}, expected a LearnedFilterbank or an STFTFilterbank: streams through others "
        "are not written; write a FilterbankStream for it"
    )
