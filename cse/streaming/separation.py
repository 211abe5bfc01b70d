"""What a stream needs of a separation: mixture in, voices out, later but in step."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from cse.inference.cascade import Cascade
from cse.streaming.windowed import WindowedSeparation, Windows


class StreamingSeparation(Protocol):
    """Takes a mixture apart while it is still coming. One object is one stream.

    Attributes:
        latency: How many samples have to come after a sample before it is among the voices, at most.
    """

    @property
    def latency(self) -> int:
        """See above."""
        ...

    def push(self, mixture: np.ndarray) -> np.ndarray:
        """(T,) float32 the next samples -> (S, T') float32 what is ready of each voice, at its level in the mixture."""
        ...

    def flush(self) -> np.ndarray:
        """(S, T') the rest, so that the voices are as long as the mixture was; nothing comes any more."""
        ...


def begin_separation(method: Cascade, windows: Windows) -> StreamingSeparation:
    """Begin a stream: sample by sample where the separator never looks ahead, else in windows.

    Args:
        method: Separates, then chooses.
        windows: How, where it has to be in windows.

    Raises:
        ConfigError: The windows make no sense, or there is no stream through the separator's filterbank.
    """
    # an exported network has no module, and does without torch
    separator = getattr(method, "separator", None)
    if separator is not None:
        from cse.inference.separate_then_choose import SeparateThenChoose
        from cse.models.backbones.causal_conv_tasnet import CausalConvTasNet
        from cse.streaming.causal import CausalSeparation

        if isinstance(method, SeparateThenChoose) and isinstance(separator.backbone, CausalConvTasNet):
            return CausalSeparation(separator=separator, runtime=method.runtime)
    return WindowedSeparation(method, windows, voices=getattr(method, "voices", None))
