"""A grown separator separates as the small one did, and its new output is silent."""

from __future__ import annotations

from pathlib import Path

import torch

from cse.building import instantiate
from cse.checkpoint import load_checkpoint, load_state, save_checkpoint
from cse.models.separator import Separator

GROW = Path(__file__).parents[2] / "egs" / "packaged" / "local" / "grow.py"
SMALL = {
    "_target_": "cse.models.separator.Separator",
    "sample_rate": 8000,
    "filterbank": {"_target_": "cse.models.filterbanks.STFTFilterbank", "channels": 34, "hop_size": 16},
    "backbone": {
        "_target_": "cse.models.backbones.band_split_rnn.BandSplitRNN",
        "channels": 34, "talkers": 2, "band_widths": [3, 4, 10], "width": 8, "hidden": 12, "repeats": 2,
    },
}  # fmt: skip


def test_a_grown_network_computes_the_same_and_can_learn(run, tmp_path):
    torch.manual_seed(0)
    small = instantiate(SMALL).eval()
    save_checkpoint(tmp_path / "small", {"name": "small", "model": SMALL}, small.state_dict(), "card")
    done = run(GROW, "--model", tmp_path / "small", "--gain", "0.2", "--output", tmp_path / "grown")
    assert done.returncode == 0, done.stderr
    checkpoint = load_checkpoint(tmp_path / "grown")
    grown = instantiate(checkpoint.config["model"]).eval()
    assert isinstance(grown, Separator)
    load_state(grown, checkpoint.state)

    mixture = torch.randn(2, 4000)
    estimates = grown(mixture)
    assert estimates.shape == (2, 3, 4000)
    assert torch.allclose(estimates[:, :2], 0.2 * small(mixture), atol=1e-5)
    assert estimates[:, 2].abs().max() < 1e-5

    (estimates * torch.randn_like(estimates)).sum().backward()
    gates = grown.backbone.repeats[0].time.lstm.weight_ih_l0.grad.chunk(4)
    assert not torch.allclose(*gates[0].chunk(2), rtol=1e-2), "units that get the same gradient never part"
    assert grown.backbone.repeats[0].frames.exit.weight.grad.abs().max() > 0
