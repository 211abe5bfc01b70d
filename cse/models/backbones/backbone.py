"""What all backbones have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from cse.models.cues.cue import Cue
from cse.models.fusion.fusion import Fusion, FusionFactory


class Backbone(nn.Module, ABC):
    """Looks at the features of a mixture, and at cues if it has a fusion, and says which parts belong to whom.

    Attributes:
        channels: Features a frame, N, in and out.
        talkers: Number of masks S.
        cue_width: Width D of the cue tokens that the fusions take; None for a backbone without cues.
        fusions: How cues enter, one a repeat; empty for a backbone without cues.
    """

    def __init__(
        self,
        *,
        channels: int,
        talkers: int,
        state_width: int,
        repeats: int,
        fusion: FusionFactory | None,
        cue_width: int | None,
        attends: bool = False,
    ) -> None:
        super().__init__()
        if (fusion is None) != (cue_width is None):
            raise ValueError(
                f"got fusion={fusion!r} and cue_width={cue_width}, expected both or neither: a fusion needs to know "
                "the width of the cue's tokens"
            )
        self.channels = channels
        self.talkers = talkers
        self.cue_width = cue_width
        self.fusions = nn.ModuleList()
        for _ in range(repeats if fusion is not None else 0):
            one = fusion(width=state_width, cue_width=cue_width)  # type: ignore[misc]
            if one.needs_sequences and not attends:
                raise ValueError(
                    f"{type(self).__name__} has no sequences that {type(one).__name__} could enter; use FiLM or "
                    "CrossAttention, or the SepFormer backbone"
                )
            self.fusions.append(one)

    @abstractmethod
    def forward(self, features: Tensor, cue: Cue | None = None) -> Tensor:
        """Masks of all talkers.

        Args:
            features: (B, N, L) float.
            cue: K tokens of width `cue_width`; needed if and only if there are `fusions`.

        Returns:
            (B, S, N, L) masks, not yet bounded (the filterbank does that).
        """

    def masks_and_prompts(
        self, features: Tensor, cue: Cue | None = None, *, masks: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """As `forward`, the first `masks` of all, and what became of prompt tokens: (B, K, W), or None."""
        return self(features, cue)[:, :masks], None

    def _modulate(self, repeat: int, state: Tensor, cue: Cue | None) -> Tensor:
        """The state (B, …, W) with the cue in it, before a repeat."""
        if cue is None or not self.fusions:
            return state
        fusion = self.fusions[repeat]
        assert isinstance(fusion, Fusion)
        return fusion.modulate(state, cue)
