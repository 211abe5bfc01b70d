"""Separation by a network that never looks ahead: what it makes of the whole comes out, a few samples later."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from cse.inference.method import Runtime
from cse.models.backbones.causal_conv_tasnet import CausalConvTasNet
from cse.models.backbones.causal_layers import State
from cse.models.separator import Separator
from cse.streaming.filterbanks import filterbank_stream
from cse.streaming.levels import RunningLevels


class CausalSeparation:
    """One stream through a causal separator; it remembers what the network needs, and no more.

    The voices are brought to their level in the mixture by all that was heard so far.

    Args:
        separator: With a `CausalConvTasNet`, in evaluation mode.
        runtime: Where and how it runs.

    Raises:
        ConfigError: There is no stream through its filterbank.
    """

    def __init__(self, *, separator: Separator, runtime: Runtime | None = None) -> None:
        self._stream = CausalEstimates(separator=separator, runtime=runtime)
        self._levels = RunningLevels(
            talkers=separator.talkers, block=round(_LEVEL_BLOCK_S * separator.sample_rate)
        )
        self._mixture = np.zeros(0, np.float32)

    @property
    def latency(self) -> int:
        """That of the filterbank: the samples of a frame but one."""
        return self._stream.latency

    def push(self, mixture: np.ndarray) -> np.ndarray:
        """See `StreamingSeparation.push`."""
        self._mixture = np.concatenate([self._mixture, mixture])
        return self._levelled(self._stream.push(mixture))

    def flush(self) -> np.ndarray:
        """See `StreamingSeparation.flush`."""
        return self._levelled(self._stream.flush())

    def _levelled(self, estimates: np.ndarray) -> np.ndarray:
        length = estimates.shape[1]
        heard, self._mixture = self._mixture[:length], self._mixture[length:].copy()
        return self._levels.push(estimates, heard)


_LEVEL_BLOCK_S = 0.25


class CausalEstimates:
    """What the network itself gives, of any level: in pieces what `Separator.forward` gives of the whole.

    Args:
        separator: See `CausalSeparation`.
        runtime: See `CausalSeparation`.
    """

    def __init__(self, *, separator: Separator, runtime: Runtime | None = None) -> None:
        self._separator = separator
        self._backbone = cast(CausalConvTasNet, separator.backbone)
        self._runtime = runtime or Runtime()
        self._frames = filterbank_stream(separator.filterbank)
        self._state: State | None = None
        self._came = self._gone = 0

    @property
    def latency(self) -> int:
        """See `StreamingSeparation.latency`."""
        return self._frames.latency

    def push(self, mixture: np.ndarray) -> np.ndarray:
        """(T,) float32 -> (S, T') float32."""
        self._came += len(mixture)
        with self._runtime.inference():
            samples = torch.from_numpy(np.asarray(mixture, np.float32)).to(self._runtime.device)
            return self._counted(self._estimates(self._frames.encode(samples.unsqueeze(0))))

    def flush(self) -> np.ndarray:
        """(S, T') the rest."""
        with self._runtime.inference():
            last = [self._estimates(self._frames.finish()), self._frames.rest()]
        estimates = self._counted(torch.cat([part for part in last if part is not None], dim=1))
        # a filterbank may leave out what is no whole frame
        missing = self._came - self._gone
        self._gone = self._came
        return np.pad(estimates, ((0, 0), (0, missing)))

    def _estimates(self, representation: Tensor | None) -> Tensor:
        if representation is None:
            return torch.zeros(self._separator.talkers, 0, device=self._runtime.device)
        filterbank = self._separator.filterbank
        features = filterbank.features(representation)
        if self._state is None:
            self._state = self._backbone.begin(features)
        masks, self._state = self._backbone.step(features, self._state)
        return self._frames.decode(filterbank.apply_masks(masks, representation))

    def _counted(self, estimates: Tensor) -> np.ndarray:
        """As an array, without what is behind the end of the mixture."""
        ready: np.ndarray = estimates[:, : self._came - self._gone].float().cpu().numpy()
        self._gone += ready.shape[1]
        return ready
