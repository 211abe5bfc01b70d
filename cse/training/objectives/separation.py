"""Blind separation: every talker, in any order."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from cse.models.separator import Separator
from cse.training.losses import pit_neg_si_snr
from cse.training.objectives.objective import Batch, Objective


class Separation(Objective[Separator]):
    """Negative SI-SNR under the best assignment of estimates to talkers (uPIT, Kolbæk et al., 2017).

    Args:
        max_si_snr_db: A mixture separated better than this no longer pulls at the weights.
    """

    results: ClassVar[tuple[str, ...]] = ("si_sdri_db",)
    takes_silent_talkers: ClassVar[bool] = False  # no estimate has an SI-SNR against silence

    def __init__(self, *, max_si_snr_db: float = 30.0) -> None:
        super().__init__()
        self.max_si_snr_db = max_si_snr_db

    def loss(self, model: Separator, batch: Batch) -> dict[str, Tensor]:
        """From `mixture` (B, T) and `talkers` (B, S, T)."""
        per_mixture, _ = pit_neg_si_snr(model(batch["mixture"]), batch["talkers"])
        return {"neg_si_snr_db": per_mixture.clamp(min=-self.max_si_snr_db).mean()}

    def measure(self, model: Separator, batch: Batch) -> dict[str, Tensor]:
        """SI-SDR improvement over the mixture under the best assignment."""
        talkers = batch["talkers"]
        unprocessed = batch["mixture"].unsqueeze(1).expand_as(talkers)
        before, _ = pit_neg_si_snr(unprocessed, talkers)
        after, _ = pit_neg_si_snr(model(batch["mixture"]), talkers)
        return {"si_sdri_db": before - after}
