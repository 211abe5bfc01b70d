"""The published networks, converted, compute what the published code computes."""

from __future__ import annotations

import functools
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cse.building import instantiate
from cse.checkpoint import load_checkpoint, load_state
from cse.cli import main
from cse.models.contsep import ContSep
from cse.models.cues.cue import Cue
from cse.models.h_cont_ext import HContExt
from cse.models.separator import Separator
from cse.models.target_extractor import TargetExtractor
from cse.published.networks import published_config
from cse.published.sizes import Sizes

TOLERANCE = 1e-4
# cases of one family have the same weights
FAMILIES = {
    "sepformer_2spk": ("",),
    "sepformer_3spk": ("",),
    "context_2spk": ("",),
    "context_3spk": ("",),
    "hcontext_2spk": ("_joint", "_history", "_voice"),
    "hcontext_3spk": ("_joint", "_history", "_voice"),
    "contsep_2spk_bce": ("",),
    "contsep_2spk_ce": ("",),
    "contsep_3spk_ce": ("",),
}


@pytest.fixture(scope="module")
def reference(repository: Path) -> Path:
    """The folder with what the published networks compute."""
    folder = repository.parent / "shared" / "reference_parity"
    if not folder.is_dir():
        pytest.skip(f"no reference outputs at {folder}")
    return folder


@pytest.fixture(scope="module")
def cases(reference: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((reference / "cases.json").read_text())["cases"]
    assert sorted(found) == sorted(family + cue for family, cues in FAMILIES.items() for cue in cues)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_converted_checkpoint_computes_what_the_published_network_does(
    family: str, reference: Path, cases: dict[str, Any], tmp_path: Path
) -> None:
    cues = FAMILIES[family]
    published, converted = tmp_path / "published.ckpt", tmp_path / "converted"
    parameters = cases[family + cues[0]]["params"]
    torch.save({"state_dict": {name: drawn(name, *shape) for name, shape in parameters.items()}}, published)
    assert main(["convert-checkpoint", str(published), str(converted)]) == 0
    published.unlink()

    checkpoint = load_checkpoint(converted)
    model = instantiate(checkpoint.config["model"])
    load_state(model, checkpoint.state)
    (converted / "model.safetensors").unlink()
    assert count(model) == cases[family + cues[0]]["n_parameters"]
    with np.load(reference / "expected.npz") as expected:
        for cue in cues:
            compare(model.eval(), cue, family + cue, expected)


@torch.no_grad()
def compare(model: nn.Module, cue: str, case: str, expected: Any) -> None:
    mixture, context, embedding = inputs()
    np.testing.assert_allclose(mixture, expected["mix"], atol=1e-6)
    wanted = torch.from_numpy(expected[f"{case}.out0"]).transpose(1, 2)
    if isinstance(model, Separator):
        waveforms = model(mixture)
    else:
        assert isinstance(model, TargetExtractor)
        text = None if cue == "_voice" else Cue.of(context)
        speaker = None
        if isinstance(model, HContExt) and cue != "_history":
            speaker = model.speaker_cue.of_embeddings(embedding.squeeze(1))
        estimates = model(mixture, text=text, speaker=speaker)
        waveforms = estimates.waveforms
        if isinstance(model, ContSep):
            compare_selection(estimates.logits, torch.from_numpy(expected[f"{case}.out1"]))
    torch.testing.assert_close(waveforms, wanted, atol=TOLERANCE, rtol=0)


def compare_selection(logits: Tensor, selection: Tensor) -> None:
    assert logits.softmax(1)[:, -1].eq(0).all(), "it cannot say that nobody is meant"
    # the published single output is the log-odds of the second voice against the first
    scores = logits[:, 1:2] - logits[:, :1] if selection.shape[1] == 1 else logits[:, :-1]
    torch.testing.assert_close(scores, selection, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("sizes", "parameters"),
    [
        ({}, 25_679_361),
        ({"cue_width": 4096}, 29_874_689),
        ({"cue_width": 4096, "embedding_size": 192}, 30_665_217),
        ({"cue_width": 4096, "selector_outputs": 1}, 29_874_946),
    ],
    ids=["separator", "ContExt", "H-ContExt", "ContSep"],
)
def test_the_paper_s_networks_have_exactly_as_many_parameters(sizes: dict[str, int], parameters: int) -> None:
    unused = {"cue_width": None, "embedding_size": None, "selector_outputs": None}
    paper = Sizes(
        channels=256,
        kernel_size=16,
        width=256,
        talkers=2,
        repeats=2,
        layers=8,
        feed_forward=1024,
        **unused | sizes,
    )
    with torch.device("meta"):
        assert count(instantiate(published_config(paper))) == parameters


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@functools.cache
def drawn(name: str, *shape: int) -> Tensor:
    """The weights of the reference, by its rule."""
    if name.endswith(".pe"):
        return torch.zeros(shape)  # tables are computed: what the file says must not matter
    numbers = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if len(shape) > 1:
        numbers *= np.float32(1 / np.sqrt(np.prod(shape[1:])))
    elif name.endswith("prelu.weight"):
        numbers[:] = 0.25
    else:
        numbers = np.float32(0.05) * numbers + np.float32(name.endswith("weight"))
    return torch.from_numpy(numbers)


@functools.cache
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Mixture (2, T), context vectors (2, 1, 4096), speaker embeddings (2, 1, 192) of the reference."""
    random = np.random.default_rng(20250308)
    mixture = 0.1 * random.standard_normal((2, 6001))
    context, embedding = random.standard_normal((2, 1, 4096)), random.standard_normal((2, 1, 192))
    return (
        torch.from_numpy(np.float32(mixture)),
        torch.from_numpy(np.float32(context)),
        torch.from_numpy(np.float32(embedding)),
    )
