"""What every separator keeps, whatever its filterbank, backbone and number of talkers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cse.building import instantiate
from cse.checkpoint import load_checkpoint, load_state, save_checkpoint
from cse.errors import CheckpointError
from cse.models.separator import Separator

SAMPLE_RATE = 8000
FILTERBANKS: dict[str, dict[str, Any]] = {
    "learned": {
        "_target_": "cse.models.filterbanks.LearnedFilterbank",
        "channels": 34,
        "kernel_size": 16,
        "stride": 8,
    },
    "stft": {"_target_": "cse.models.filterbanks.STFTFilterbank", "channels": 34, "hop_size": 8},
}
BACKBONES: dict[str, dict[str, Any]] = {
    "conv_tasnet": {
        "_target_": "cse.models.backbones.conv_tasnet.ConvTasNet",
        "bottleneck": 8, "hidden": 12, "blocks": 2, "repeats": 2,
    },
    "causal_conv_tasnet": {
        "_target_": "cse.models.backbones.causal_conv_tasnet.CausalConvTasNet",
        "bottleneck": 8, "hidden": 12, "blocks": 2, "repeats": 2,
    },
    "sepformer": {
        "_target_": "cse.models.backbones.sepformer.SepFormer",
        "width": 8, "layers": 1, "repeats": 2, "heads": 2, "feed_forward": 16, "chunk_size": 20,
    },
    "band_split_rnn": {
        "_target_": "cse.models.backbones.band_split_rnn.BandSplitRNN",
        "band_widths": [3, 4, 10], "width": 8, "hidden": 8, "repeats": 2, "attention_heads": 2,
    },
}  # fmt: skip

every_separator = pytest.mark.parametrize(
    ("filterbank", "backbone", "talkers"),
    [(f, b, s) for f in FILTERBANKS for b in BACKBONES for s in (2, 3)],
)


def config_of(filterbank: str, backbone: str, talkers: int) -> dict[str, Any]:
    return {
        "_target_": "cse.models.separator.Separator",
        "sample_rate": SAMPLE_RATE,
        "filterbank": FILTERBANKS[filterbank],
        "backbone": {**BACKBONES[backbone], "channels": 34, "talkers": talkers},
    }


def build(filterbank: str, backbone: str, talkers: int) -> Separator:
    torch.manual_seed(0)
    separator = instantiate(config_of(filterbank, backbone, talkers))
    assert isinstance(separator, Separator)
    return separator.eval()


@every_separator
@pytest.mark.parametrize("samples", [1600, 1601, 1607, 997])
def test_estimates_have_one_talker_each_and_the_mixture_s_length(filterbank, backbone, talkers, samples):
    separator = build(filterbank, backbone, talkers)
    assert separator.talkers == talkers
    estimates = separator(torch.randn(2, samples))
    assert estimates.shape == (2, talkers, samples)
    assert torch.isfinite(estimates).all()


@every_separator
def test_estimates_of_different_talkers_differ(filterbank, backbone, talkers):
    estimates = build(filterbank, backbone, talkers)(torch.randn(1, 1600))[0]
    for other in range(1, talkers):
        assert not torch.allclose(estimates[0], estimates[other], rtol=1e-3)


@every_separator
def test_the_end_of_the_recording_is_not_lost(filterbank, backbone, talkers):
    mixture = torch.randn(1, 1607)
    estimates = build(filterbank, backbone, talkers)(mixture)
    assert estimates[..., -8:].abs().max() > 1e-4 * estimates.abs().max()


@every_separator
def test_a_gradient_reaches_every_parameter(filterbank, backbone, talkers):
    separator = build(filterbank, backbone, talkers).train()
    estimates = separator(torch.randn(2, 1600))
    (estimates * torch.randn_like(estimates)).sum().backward()
    without = [
        name
        for name, parameter in separator.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert without == []


@every_separator
def test_an_item_does_not_depend_on_its_batch(filterbank, backbone, talkers):
    separator = build(filterbank, backbone, talkers)
    mixtures = torch.randn(3, 1601)
    together = separator(mixtures)
    for item in range(3):
        assert torch.allclose(together[item], separator(mixtures[item : item + 1])[0], atol=1e-5)


@every_separator
def test_what_is_saved_is_what_is_loaded(filterbank, backbone, talkers, tmp_path):
    separator = build(filterbank, backbone, talkers)
    save_checkpoint(
        tmp_path / "model", {"name": "tiny", "model": config_of(filterbank, backbone, talkers)},
        separator.state_dict(), "# tiny",
    )  # fmt: skip
    checkpoint = load_checkpoint(tmp_path / "model")
    loaded = instantiate(checkpoint.config["model"])
    load_state(loaded, checkpoint.state)
    mixture = torch.randn(1, 1600)
    assert torch.equal(loaded.eval()(mixture), separator(mixture))


def test_a_backbone_that_does_not_fit_its_filterbank_is_an_error_with_both_numbers():
    config = config_of("stft", "conv_tasnet", 2)
    config["filterbank"] = {**config["filterbank"], "channels": 66}
    with pytest.raises(CheckpointError, match="66 channels, the backbone 34"):
        instantiate(config)


def test_bands_that_do_not_add_up_are_an_error_with_the_right_sum():
    config = config_of("stft", "band_split_rnn", 2)
    config["backbone"] = {**config["backbone"], "band_widths": [3, 4]}
    with pytest.raises(CheckpointError, match="7 bins, expected 17"):
        instantiate(config)
