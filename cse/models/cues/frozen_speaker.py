"""Pretrained voice encoders for the speaker cue: never trained, never saved with the model."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from cse.encoders.voice import VoiceEncoder


class FrozenSpeakerEncoder:
    """Embeds enrollments with a pretrained network that is loaded when the first one arrives.

    Embeddings are kept by a hash of the samples, so that an enrollment that is used again costs nothing. The network
    works on the processor, whatever device the model is on. Safe to share between threads.

    Args:
        voice: Builds the network, e.g. `cse.encoders.ge2e.ResemblyzerEncoder`; in a config, a node with
            `_partial_: true`.
        sample_rate: Rate in Hz of the enrollments.
        cache_size: Number of embeddings kept, about 1 kB each.

    >>> from cse.encoders.ge2e import ResemblyzerEncoder
    >>> encoder = FrozenSpeakerEncoder(voice=ResemblyzerEncoder, sample_rate=8000)
    >>> encoder([torch.randn(4000), torch.randn(16000)]).shape
    torch.Size([2, 256])
    """

    def __init__(
        self, *, voice: Callable[[], VoiceEncoder], sample_rate: int, cache_size: int = 4096
    ) -> None:
        self.sample_rate = sample_rate
        self._build = voice
        self._voice: VoiceEncoder | None = None
        self._cache_size = cache_size
        self._cache: OrderedDict[bytes, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, enrollments: Sequence[Tensor], /) -> Tensor:
        """N waveforms (T_i,) float at `sample_rate` -> (N, embedding size) float32 without gradient.

        Raises:
            MissingExtraError: If the package that carries the network is not installed.
            CheckpointError: If its weights are not there, or are damaged.
        """
        return torch.stack([self._embed(waveform) for waveform in enrollments])

    def _embed(self, waveform: Tensor) -> Tensor:
        samples = waveform.detach().to("cpu", torch.float32).contiguous().numpy()
        key = hashlib.blake2b(samples.data, digest_size=16).digest()
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        embedding = torch.from_numpy(np.asarray(self.load().embed(samples, self.sample_rate), np.float32))
        with self._lock:
            self._cache[key] = embedding
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return embedding

    def load(self) -> VoiceEncoder:
        """The network, loaded when it is first asked for.

        Raises:
            MissingExtraError: As `__call__`.
            CheckpointError: As `__call__`.
        """
        with self._lock:
            if self._voice is None:
                self._voice = self._build()
            return self._voice

    def __reduce__(self) -> tuple[functools.partial[FrozenSpeakerEncoder], tuple[()]]:
        # a copy, in another process or of a model whose weights are averaged, loads the network itself
        return (
            functools.partial(
                type(self), voice=self._build, sample_rate=self.sample_rate, cache_size=self._cache_size
            ),
            (),
        )
