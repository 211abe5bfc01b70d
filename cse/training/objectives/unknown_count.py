"""Separation of mixtures in which fewer people may talk than the model has outputs."""

from __future__ import annotations

from itertools import permutations
from typing import ClassVar

import torch
from torch import Tensor

from cse.models.found_talkers import found_talkers
from cse.models.overlapping_windows import levelled
from cse.models.separator import Separator
from cse.training.losses import neg_si_snr, pairwise_neg_snr
from cse.training.objectives.objective import Batch, Objective


class UnknownCountSeparation(Objective[Separator]):
    """Every talker at the right level, and silence from the outputs that are left over.

    Thresholded negative SNR for outputs with a talker, level below the mixture for those without, under the best
    assignment (Wisdom et al., "What's all the FUSS about free universal sound separation data?", ICASSP 2021). Unlike
    SI-SNR it teaches levels, without which no output could be told to be silent.

    Args:
        max_snr_db: A talker separated better than this hardly pulls at the weights any more.
        silence_db: Nor does a leftover output this far below the mixture.
    """

    results: ClassVar[tuple[str, ...]] = (
        "si_sdri_db",
        "two_talkers_db",
        "three_talkers_db",
        "count_accuracy",
    )

    def __init__(self, *, max_snr_db: float = 30.0, silence_db: float = -25.0) -> None:
        super().__init__()
        self.max_snr_db = max_snr_db
        self.silence_db = silence_db

    def loss(self, model: Separator, batch: Batch) -> dict[str, Tensor]:
        """From `mixture` (B, T) and `talkers` (B, S, T), of which those who are not there are all zero."""
        estimates = model(batch["mixture"]).float()
        pairwise = pairwise_neg_snr(
            estimates,
            batch["talkers"],
            batch["mixture"],
            max_snr_db=self.max_snr_db,
            silence_db=self.silence_db,
        )
        return {"neg_snr_db": best_assignment(pairwise)[0].mean()}

    def measure(self, model: Separator, batch: Batch) -> dict[str, Tensor]:
        """SI-SDR improvement of the talkers who are there, and whether as many are found as at inference.

        A single talker cannot be improved on; those mixtures only count for the number.
        """
        mixture, talkers = batch["mixture"], batch["talkers"]
        estimates = model(mixture).float()
        there = talkers.abs().amax(-1) > 0
        count = there.sum(1)
        pairwise = torch.stack(
            [
                neg_si_snr(estimate, talkers[:, s])
                for estimate in estimates.unbind(1)
                for s in range(talkers.shape[1])
            ]
        ).view(estimates.shape[1], talkers.shape[1], -1)
        pairwise = pairwise.permute(2, 0, 1) * there.unsqueeze(1)
        after = best_assignment(pairwise)[0] * talkers.shape[1] / count
        before = torch.stack([neg_si_snr(mixture, talker) for talker in talkers.unbind(1)], dim=1)
        before = (before * there).sum(1) / count
        improvement = torch.where(count > 1, before - after, torch.nan)
        found = _found(estimates, mixture, model.sample_rate).to(count)
        return {
            "si_sdri_db": improvement,
            "two_talkers_db": torch.where(count == 2, improvement, torch.nan),
            "three_talkers_db": torch.where(count == 3, improvement, torch.nan),
            "count_accuracy": (found == count).float(),
        }


def _found(estimates: Tensor, mixture: Tensor, sample_rate: int) -> Tensor:
    """How many talkers are found in estimates (B, S, T) of mixtures (B, T), as at inference -> (B,) on the CPU."""
    pairs = zip(estimates.detach().cpu().numpy(), mixture.float().cpu().numpy(), strict=True)
    return torch.tensor([len(found_talkers(levelled(some, of), sample_rate)) for some, of in pairs])


def best_assignment(pairwise: Tensor) -> tuple[Tensor, Tensor]:
    """The cheapest way to give each talker an output of its own.

    Args:
        pairwise: (B, S, S) cost of output i for talker j.

    Returns:
        (B,) its cost, a mean over talkers, and (B, S) which output each talker has.

    >>> cost, outputs = best_assignment(torch.tensor([[[9.0, 1.0], [2.0, 9.0]]]))
    >>> cost.tolist(), outputs.tolist()
    ([1.5], [[1, 0]])
    """
    orders = torch.tensor(list(permutations(range(pairwise.shape[1]))), device=pairwise.device)
    talkers = torch.arange(pairwise.shape[2], device=pairwise.device)
    costs = pairwise[:, orders, talkers].mean(-1)  # (B, S!)
    best, order = costs.min(1)
    return best, orders[order]
