"""The choice alone, without the errors of the separation: the chooser gets the voices that the mixture was made of."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from cse.audio import fit_length, load_waveform
from cse.errors import ConfigError
from cse.extraction import Extraction
from cse.extractor import Extractor
from cse.history import Turn
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.manifest import Mixture
from cse.models.separator import Separator

_LONGER_THAN_ANY_S = 1e5  # a window in which every mixture fits


class PerfectSeparation:
    """Called like an `Extractor`, chooses like one, and separates without an error.

    Args:
        extractor: whose chooser is measured.
        mixtures: all that it will be asked for; their parts are read when they are.

    Raises:
        ConfigError: the extractor does not separate first and choose then.
    """

    def __init__(self, extractor: Extractor, mixtures: Sequence[Mixture]) -> None:
        if not isinstance(extractor.method, SeparateThenChoose):
            raise ConfigError(
                f"perfect separation: got {extractor.name}, which does not choose among separated voices, expected a "
                "separator; leave the option out"
            )
        self.name = f"{extractor.name}, given perfect separation"
        self._method = extractor.method
        self._mixtures = {mixture.mixture: mixture for mixture in mixtures}

    def extract(
        self,
        audio: Path,
        history: Sequence[Turn] | None = None,
        *,
        enrollment: Path | None = None,
        target: str | None = None,
    ) -> Extraction:
        """Return the voice in the mixture `audio` that the chooser takes."""
        voices = _voices(self._mixtures[audio], self._method.sample_rate)
        method = SeparateThenChoose(
            separator=cast(Separator, _KnownVoices(voices, self._method.sample_rate)),
            chooser=self._method.chooser,
            runtime=replace(self._method.runtime, window_s=_LONGER_THAN_ANY_S),
        )
        extractor = Extractor(method=method, name=self.name)
        return extractor.extract(audio, history, enrollment=enrollment, target=target)


class _KnownVoices(torch.nn.Module):
    """Takes the place of a separator for one mixture: (B, T) -> (B, S, T), whatever comes in."""

    def __init__(self, voices: Sequence[np.ndarray], sample_rate: int) -> None:
        super().__init__()
        self.voices = voices
        self.sample_rate = sample_rate
        self.talkers = len(voices)

    def forward(self, mixture: Tensor) -> Tensor:
        voices = np.stack([fit_length(voice, mixture.shape[-1]) for voice in self.voices])
        return torch.from_numpy(voices).to(mixture).expand(len(mixture), -1, -1)


def _voices(mixture: Mixture, sample_rate: int) -> list[np.ndarray]:
    """The talkers (T,) of a mixture, in an order that says nothing: a chooser that guesses may take the first one."""
    paths = [path for path in (mixture.target, *mixture.interferers) if path is not None]
    order = np.random.default_rng(zlib.crc32(mixture.id.encode())).permutation(len(paths))
    return [load_waveform(paths[place], sample_rate) for place in order]
