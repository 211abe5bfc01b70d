"""What is exported computes what the model computes, for every filterbank, backbone and fusion, and any length."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cse.building import instantiate
from cse.checkpoint import save_checkpoint
from cse.models.cues.cue import Cue
from cse.models.separator import Separator
from cse.models.target_extractor import TargetExtractor
from cse.ondevice.description import Precision

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

from cse.ondevice.export import export_onnx
from cse.ondevice.network import OnnxNetwork

CONTRACTS = Path(__file__).parents[1] / "models"
separators = SimpleNamespace(**runpy.run_path(str(CONTRACTS / "test_contracts.py")))
extractors = SimpleNamespace(**runpy.run_path(str(CONTRACTS / "test_cue_contracts.py")))

LENGTHS = [997, 1600, 1607, 9001]  # the example of the export has 8007 samples
FILTERBANKS = {
    **separators.FILTERBANKS,
    "truncating": {
        "_target_": "cse.models.truncating_filterbank.TruncatingFilterbank",
        "channels": 34, "kernel_size": 16, "stride": 8,
    },
    "wide hop": {"_target_": "cse.models.filterbanks.STFTFilterbank", "channels": 34, "hop_size": 16},
}  # fmt: skip


def exported(tmp_path, config: dict[str, Any], precision: Precision = "float32") -> tuple[Any, OnnxNetwork]:
    torch.manual_seed(0)
    model = instantiate(config).eval()
    save_checkpoint(tmp_path / "tiny", {"model": config}, model.state_dict(), "# tiny")
    export_onnx(tmp_path / "tiny", tmp_path / "tiny.onnx", precision=precision)
    return model, OnnxNetwork(tmp_path / "tiny.onnx", threads=1)


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    assert got.shape == expected.shape
    return float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-3))


@pytest.mark.parametrize(
    ("filterbank", "backbone"), list(itertools.product(FILTERBANKS, separators.BACKBONES))
)
def test_separators(filterbank, backbone, tmp_path):
    config = {
        **separators.config_of("stft", backbone, 3 if backbone == "band_split_rnn" else 2),
        "filterbank": FILTERBANKS[filterbank],
    }
    model, network = exported(tmp_path, config)
    assert isinstance(model, Separator)
    for samples in LENGTHS:
        mixture = torch.randn(samples)
        with torch.inference_mode():
            expected = model(mixture.unsqueeze(0))[0].numpy()
        (got,) = network.run(mixture.numpy())
        assert relative_error(got, expected) < 1e-4


@pytest.mark.parametrize(
    ("model", "backbone", "fusion"),
    [
        # the model says which cues there are, the fusion where they enter: no need for all pairs
        *(each[:3] for each in extractors.COMBINATIONS if each[0] == "h_cont_ext" and each[3] == 2),
        ("contsep", "conv_tasnet", "film"),
        ("cont_ext", "conv_tasnet", "film"),
    ],
)
def test_extractors(model, backbone, fusion, tmp_path):
    model, network = exported(tmp_path, extractors.config_of(model, backbone, fusion, 2))
    assert isinstance(model, TargetExtractor)
    there = [torch.tensor([row]) for row in ([True] * 3, [False, True, True], [False] * 3)]
    for samples, mask in zip(LENGTHS[:3], there, strict=True):
        mixture = torch.randn(samples)
        cues: dict[str, Any] = {"text": Cue.of(torch.randn(1, extractors.TURNS, extractors.WIDTH), mask)}
        given = {"text": cues["text"].tokens.numpy(), "text_mask": mask.numpy()}
        if model.speaker_cue is not None:
            given |= {"speaker": np.ones((1, 4), np.float32), "speaker_mask": ~mask[:, 1].numpy()}
            cues["speaker"] = model.speaker_cue.of_embeddings(torch.ones(1, 4), ~mask[:, 1])
        with torch.inference_mode():
            voices = model.separate(mixture.unsqueeze(0), **cues)
            logits = model.judge(voices, **cues).logits[0].numpy()
        got = network.run(mixture.numpy(), given)
        assert relative_error(got[0], voices.waveforms[0].numpy()) < 1e-4
        assert relative_error(got[1], logits) < 1e-4


@pytest.mark.parametrize("selector", ["first", "fixed slot"])
def test_published_extractors(selector, tmp_path):
    config = extractors.config_of("cont_ext" if selector == "first" else "contsep", "sepformer", "prompt", 2)
    config["selector"] = {
        "first": {"_target_": "cse.models.selectors.first.FirstVoice"},
        "fixed slot": {
            "_target_": "cse.models.selectors.fixed_slot.FixedSlotSelector", "width": 8, "talkers": 2, "outputs": 1,
        },
    }[selector]  # fmt: skip
    config["filterbank"] = FILTERBANKS["truncating"]
    model, network = exported(tmp_path, config)
    mixture, text = torch.randn(2003), Cue.of(torch.randn(1, extractors.TURNS, extractors.WIDTH))
    with torch.inference_mode():
        voices = model.separate(mixture.unsqueeze(0), text=text)
        logits = model.judge(voices, text=text).logits[0].numpy()
    got = network.run(mixture.numpy(), {"text": text.tokens.numpy(), "text_mask": text.mask.numpy()})
    assert relative_error(got[0], voices.waveforms[0].numpy()) < 1e-4
    assert np.allclose(got[1], logits, atol=1e-4)


@pytest.mark.parametrize("backbone", separators.BACKBONES)
@pytest.mark.parametrize(("precision", "tolerance"), [("float16", 2e-2), ("int8", 0.3)])
def test_reduced_precision_is_smaller_and_near(backbone, precision, tolerance, tmp_path):
    config = separators.config_of("stft", backbone, 2)
    config["backbone"] |= {"band_split_rnn": {"width": 16, "hidden": 64}, "sepformer": {"width": 64}}.get(
        backbone, {"bottleneck": 64, "hidden": 64}
    )
    _, network = exported(tmp_path, config)
    size = (tmp_path / "tiny.onnx").stat().st_size
    mixture = np.random.default_rng(0).standard_normal(4001).astype(np.float32)
    (expected,) = network.run(mixture)
    _, smaller = exported(tmp_path, config, precision)
    (got,) = smaller.run(mixture)
    assert smaller.description.precision == precision
    assert 0 < relative_error(got, expected) < tolerance
    assert (tmp_path / "tiny.onnx").stat().st_size < size
