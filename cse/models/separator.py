"""Blind separation: every talker of a mixture, in no particular order."""

from __future__ import annotations

from torch import Tensor, nn

from cse.models.backbones.backbone import Backbone
from cse.models.filterbanks import Filterbank


class Separator(nn.Module):
    """Takes a mixture apart into its talkers by masks on a filterbank's representation.

    Args:
        filterbank: Waveform to frames and back (`cse.models.filterbanks`).
        backbone: Features to masks (`cse.models.backbones`).
        sample_rate: Rate in Hz of the audio that the model was made for.

    Raises:
        ValueError: If filterbank and backbone disagree about the features a frame.

    >>> import torch
    >>> from cse.models.filterbanks import STFTFilterbank
    >>> from cse.models.backbones.conv_tasnet import ConvTasNet
    >>> net = ConvTasNet(channels=66, talkers=2, bottleneck=4, hidden=8, blocks=2, repeats=1)
    >>> separator = Separator(filterbank=STFTFilterbank(channels=66, hop_size=16), backbone=net, sample_rate=8000)
    >>> separator(torch.randn(3, 1001)).shape
    torch.Size([3, 2, 1001])
    """

    def __init__(self, *, filterbank: Filterbank, backbone: Backbone, sample_rate: int) -> None:
        super().__init__()
        if filterbank.channels != backbone.channels:
            raise ValueError(
                f"the filterbank has {filterbank.channels} channels, the backbone {backbone.channels}: "
                "expected the same number; set `channels` of both alike"
            )
        self.filterbank = filterbank
        self.backbone = backbone
        self.sample_rate = sample_rate

    @property
    def talkers(self) -> int:
        """Number of estimates S."""
        return self.backbone.talkers

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate.

        Args:
            mixture: (B, T) float waveforms at `sample_rate`, any level.

        Returns:
            (B, S, T) estimates. Their level is arbitrary: training by SI-SDR does not fix it.
        """
        representation = self.filterbank.encode(mixture)
        masks = self.backbone(self.filterbank.features(representation))
        estimates = self.filterbank.apply_masks(masks, representation)
        return self.filterbank.decode(estimates, mixture.shape[-1])
