"""Feature-wise linear modulation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cse.models.cues.cue import Cue
from cse.models.fusion.fusion import Fusion


class FiLM(Fusion):
    """Scales and shifts every feature by what the cue says (Perez et al., FiLM, AAAI 2018).

    The cue is the mean of its tokens; where there is none, a learned vector takes its place. Starts next to the
    identity, so that a network whose separation is already trained is not upset.

    Args:
        width: Features of the state, W.
        cue_width: Width of a cue token, D.

    >>> film = FiLM(width=4, cue_width=3)
    >>> film.modulate(torch.randn(2, 10, 4), Cue.of(torch.randn(2, 5, 3))).shape
    torch.Size([2, 10, 4])
    """

    def __init__(self, *, width: int, cue_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(cue_width)
        self.no_cue = nn.Parameter(torch.zeros(cue_width))
        self.scale_and_shift = nn.Linear(cue_width, 2 * width)
        nn.init.normal_(self.scale_and_shift.weight, std=0.01)
        nn.init.zeros_(self.scale_and_shift.bias)

    def modulate(self, state: Tensor, cue: Cue) -> Tensor:
        """State (B, …, W) and a cue of width D -> the same shape."""
        mean = cue.tokens.sum(1) / cue.mask.sum(1, keepdim=True).clamp(min=1)
        told = torch.where(cue.present.unsqueeze(1), self.norm(mean), self.no_cue)
        scale, shift = self.scale_and_shift(told).chunk(2, dim=-1)
        shape = (len(state), *(1,) * (state.dim() - 2), state.shape[-1])
        return state * (1 + scale.view(shape)) + shift.view(shape)
