"""How large a published network is, read off its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cse.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

_LAYER = re.compile(r"masknet\.dual_mdl\.(\d+)\.intra_mdl\.mdl\.layers\.(\d+)\.pos_ffn\.ffn\.0\.weight")


@dataclass(frozen=True)
class Sizes:
    """Sizes of a published network; what weights do not show (heads, chunk size, stride) is as published.

    Attributes:
        channels: Features a frame, N.
        kernel_size: Samples a filter sees.
        width: Features of the state, W.
        talkers: Masks S.
        repeats: Dual-path repeats R.
        layers: Transformer layers of each path.
        feed_forward: Hidden units of the feed-forward layers.
        cue_width: Width of the history's vector, D; None for a plain separator.
        embedding_size: Numbers in a speaker embedding; None for a network that takes none.
        selector_outputs: Outputs of ContSep's head; None for a network that does not choose.
    """

    channels: int
    kernel_size: int
    width: int
    talkers: int
    repeats: int
    layers: int
    feed_forward: int
    cue_width: int | None
    embedding_size: int | None
    selector_outputs: int | None

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Sizes:
        """Read the sizes of published weights.

        Raises:
            CheckpointError: If these are no weights of a published network.
        """
        channels, _, kernel_size = _shape(state, "encoder.conv1d.weight", 3)
        width = _shape(state, "masknet.conv1d.weight", 3)[0]
        masks = _shape(state, "masknet.conv2d.weight", 4)[0]
        found = [match for name in state if (match := _LAYER.fullmatch(name))]
        if not found or masks % width:
            raise CheckpointError(
                f"got {len(found)} transformer layers within chunks, and {masks} features of masks for a width of "
                f"{width}, expected a published SepFormer with a whole number of masks"
            )
        cued = "masknet.dual_mdl.0.intra_context_mapper.weight"
        return cls(
            channels=channels,
            kernel_size=kernel_size,
            width=width,
            talkers=masks // width,
            repeats=1 + max(int(match[1]) for match in found),
            layers=1 + max(int(match[2]) for match in found),
            feed_forward=_shape(state, found[0][0], 2)[0],
            cue_width=_shape(state, cued, 2)[1]
            if any("_context_mapper." in name for name in state)
            else None,
            embedding_size=_optional(state, "se_embedding", 1),
            selector_outputs=_optional(state, "context_selector", 0),
        )


def _optional(state: Mapping[str, Tensor], layer: str, axis: int) -> int | None:
    if not any(name.startswith(f"{layer}.") for name in state):
        return None
    return _shape(state, f"{layer}.weight", 2)[axis]


def _shape(state: Mapping[str, Tensor], name: str, dimensions: int) -> tuple[int, ...]:
    if name not in state:
        raise CheckpointError(
            f"got no {name}, expected the weights of the published SepFormer, ContSep, ContExt or H-ContExt"
        )
    shape = tuple(state[name].shape)
    if len(shape) != dimensions or 0 in shape:
        raise CheckpointError(
            f"got {name} of shape {shape}, expected {dimensions} dimensions, none of them 0"
        )
    return shape
