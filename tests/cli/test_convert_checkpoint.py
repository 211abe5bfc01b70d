"""`cse convert-checkpoint` on networks of the published make, only smaller: what it writes, and how it refuses."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cse.building import instantiate
from cse.checkpoint import load_checkpoint, load_state
from cse.cli import main
from cse.models.cues.cue import Cue
from cse.models.h_cont_ext import HContExt
from cse.published.names import published_name
from cse.published.networks import published_config
from cse.published.sizes import Sizes

KINDS = {
    "Separator": {},
    "ContExt": {"cue_width": 6},
    "HContExt": {"cue_width": 6, "embedding_size": 5},
    "ContSep": {"cue_width": 6, "selector_outputs": 3},
}
Weights = dict[str, Tensor]
Publish = Callable[[object], Path]


def weights_of(kind: str) -> Weights:
    """Random weights of a small network under their published names, with the position tables."""
    sizes = {"cue_width": None, "embedding_size": None, "selector_outputs": None} | KINDS[kind]
    small = Sizes(
        channels=4, kernel_size=8, width=8, talkers=3, repeats=2, layers=2, feed_forward=12, **sizes
    )
    torch.manual_seed(0)
    model = instantiate(published_config(small))
    weights = {published_name(name): tensor for name, tensor in model.state_dict().items()}
    return {**weights, "masknet.dual_mdl.0.intra_mdl.pos_enc.pe": torch.zeros(1, 30, 8)}


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    """Save anything as a published file."""

    def save(content: object) -> Path:
        torch.save(content, tmp_path / "published.ckpt")
        return tmp_path / "published.ckpt"

    return save


def refusal(capsys: pytest.CaptureFixture[str], published: Path, out: Path) -> str:
    """The one line of a conversion that must fail and leave nothing behind."""
    before = sorted(out.parent.iterdir())
    assert main(["convert-checkpoint", str(published), str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert sorted(out.parent.iterdir()) == before
    return captured.err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("out", ["converted", "converted.safetensors"])
def test_every_kind_of_network_is_told_by_its_weights(capsys, publish, tmp_path, kind, out):
    weights = weights_of(kind)
    published = publish({"state_dict": weights, "step": 3, "optimizer_state_dict": {"state": {}}})
    assert main(["convert-checkpoint", str(published), str(tmp_path / out)]) == 0
    assert f"{kind}, 3 talkers" in capsys.readouterr().out
    checkpoint = load_checkpoint(tmp_path / out)
    model = instantiate(checkpoint.config["model"])
    load_state(model, checkpoint.state)
    assert type(model).__name__ == kind
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[published_name(name)]), name


def test_sizes_come_from_the_weights(publish, tmp_path):
    assert (
        main(
            ["convert-checkpoint", str(publish({"state_dict": weights_of("ContSep")})), str(tmp_path / "out")]
        )
        == 0
    )
    config = load_checkpoint(tmp_path / "out").config
    assert config["name"] == "out"
    backbone = config["model"]["backbone"]
    sizes = {
        name: backbone[name] for name in ("channels", "talkers", "width", "layers", "repeats", "feed_forward")
    }
    assert sizes == {"channels": 4, "talkers": 3, "width": 8, "layers": 2, "repeats": 2, "feed_forward": 12}
    assert config["model"]["filterbank"]["kernel_size"] == 8 and config["model"]["filterbank"]["stride"] == 4
    assert config["model"]["selector"]["outputs"] == 3
    assert config["model"]["text_cue"]["encoder"]["source"].startswith("hf://meta-llama/"), (
        "named, never fetched here"
    )


def test_the_card_says_what_it_was_made_of_and_that_it_may_not_be_sold(publish, tmp_path):
    published = publish({"state_dict": weights_of("HContExt")})
    assert main(["convert-checkpoint", str(published), str(tmp_path / "out")]) == 0
    card = load_checkpoint(tmp_path / "out").card
    assert "`published.ckpt`" in card
    assert hashlib.sha256(published.read_bytes()).hexdigest() in card
    assert "CC BY-NC" in card and "{" not in card
    assert str(tmp_path) not in card, "where it lay is nobody's business"


def test_a_missing_enrollment_is_no_zero_embedding(publish, tmp_path):
    """The published network has zeros after the projection, not its bias."""
    assert (
        main(
            [
                "convert-checkpoint",
                str(publish({"state_dict": weights_of("HContExt")})),
                str(tmp_path / "out"),
            ]
        )
        == 0
    )
    model = instantiate(load_checkpoint(tmp_path / "out").config["model"]).eval()
    assert isinstance(model, HContExt)
    mixture, history = torch.randn(1, 400), Cue.of(torch.randn(1, 1, 6))
    alone = model(mixture, text=history).waveforms
    torch.testing.assert_close(model(mixture, text=history, speaker=Cue.missing(1, 1, 6)).waveforms, alone)
    torch.testing.assert_close(
        model(mixture, text=history, speaker=model.speaker_cue([None])).waveforms, alone
    )
    bias = model.speaker_cue.of_embeddings(torch.zeros(1, 5))
    assert not torch.allclose(model(mixture, text=history, speaker=bias).waveforms, alone)


@pytest.mark.parametrize("prefix", ["model.", "module.", "model.module.", "module._orig_mod."])
def test_what_wrappers_put_before_all_names_is_taken_off(publish, tmp_path, prefix):
    weights = weights_of("ContExt")
    published = publish({"state_dict": {prefix + name: tensor for name, tensor in weights.items()}})
    assert main(["convert-checkpoint", str(published), str(tmp_path / "out")]) == 0
    assert torch.equal(
        load_checkpoint(tmp_path / "out").state["filterbank.synthesis.weight"], weights["decoder.weight"]
    )


def test_half_precision_is_widened(publish, tmp_path):
    weights = {name: tensor.half() for name, tensor in weights_of("Separator").items()}
    assert main(["convert-checkpoint", str(publish({"state_dict": weights})), str(tmp_path / "out")]) == 0
    assert {tensor.dtype for tensor in load_checkpoint(tmp_path / "out").state.values()} == {torch.float32}


class Code:
    """Unpickled, it would run."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_code_in_a_checkpoint_is_not_run(capsys, publish, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    published = publish({"state_dict": weights_of("Separator"), "hyper_parameters": Code()})
    error = refusal(capsys, published, tmp_path / "out")
    assert "published.ckpt: got posix.mkdir in it" in error and "expected weights only" in error
    plain = tmp_path / "plain.ckpt"
    plain.write_bytes(pickle.dumps({"state_dict": Code()}, protocol=2))
    refusal(capsys, plain, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", bytes(range(256))])
def test_what_is_no_checkpoint_is_refused(capsys, tmp_path, content):
    (tmp_path / "published.ckpt").write_bytes(content)
    error = refusal(capsys, tmp_path / "published.ckpt", tmp_path / "out")
    assert "published.ckpt: is no file of torch.save" in error and "fetch it again" in error


def test_a_truncated_file_is_refused(capsys, publish, tmp_path):
    published = publish({"state_dict": weights_of("Separator")})
    published.write_bytes(published.read_bytes()[:-1000])
    assert "is no file of torch.save" in refusal(capsys, published, tmp_path / "out")


def test_no_file_and_a_folder_are_refused(capsys, tmp_path):
    assert "no such file" in refusal(capsys, tmp_path / "nowhere.ckpt", tmp_path / "out")
    assert "a folder" in refusal(capsys, tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    "content", [{}, {"weights": {}}, {"state_dict": {}}, {"state_dict": [1]}, [1], torch.zeros(3)]
)
def test_a_file_without_a_state_dict_is_refused(capsys, publish, tmp_path, content):
    assert 'got no "state_dict" in it, expected' in refusal(capsys, publish(content), tmp_path / "out")


def without(weights: Weights, part: str) -> Weights:
    return {name: tensor for name, tensor in weights.items() if part not in name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {**w, "step": 3}, "got 'step' under \"state_dict\", which is no finite tensor"),
        (lambda w: {**w, "decoder.weight": w["decoder.weight"] / 0}, "'decoder.weight' under"),
        (lambda w: {**w, "decoder.weight": w["decoder.weight"].long()}, "'decoder.weight' under"),
        (lambda w: {"conv.weight": torch.zeros(3)}, "got no encoder.conv1d.weight, expected the weights of the pub"),
        (lambda w: without(w, "encoder.conv1d"), "got no encoder.conv1d.weight"),
        (lambda w: without(w, ".layers."), "got 0 transformer layers"),
        (lambda w: without(w, "1.inter_mdl.mdl.layers.1.norm2.norm.bias"), "missing: masknet.dual_mdl.1.inter_mdl.mdl"),
        (lambda w: without(w, "0.intra_context_mapper"), "got no masknet.dual_mdl.0.intra_context_mapper.weight"),
        (lambda w: without(w, "1.inter_context_mapper"), "missing: masknet.dual_mdl.1.inter_context_mapper.weight"),
        (lambda w: without(w, "context_selector.bias"), "weights of ContSep, but do not fit it: missing: context_sel"),
        (lambda w: {**w, "se_embedding.weight": torch.zeros(6, 5)}, "unexpected: se_embedding.weight"),
        (lambda w: {**w, "decoder.bias": torch.zeros(1)}, "unexpected: decoder.bias"),
        (lambda w: {**w, "decoder.weight": torch.zeros(4, 1, 9)}, "decoder.weight got (4, 1, 9) expected (4, 1, 8)"),
        (lambda w: {**w, "encoder.conv1d.weight": torch.zeros(4)}, "encoder.conv1d.weight of shape (4,), expected 3"),
        (lambda w: {**w, "context_selector.weight": torch.zeros(2, 8)}, "got 2 outputs for 3 talkers"),
        (lambda w: {**w, "masknet.conv2d.weight": torch.zeros(25, 8, 1, 1)}, "expected a published SepFormer"),
        (lambda w: {**w, "masknet.conv1d.weight": torch.zeros(12, 4, 1)}, "a multiple of the 8 attention heads"),
        (lambda w: {**w, "encoder.conv1d.weight": torch.zeros(4, 1, 0)}, "expected 3 dimensions, none of them 0"),
        (lambda w: {f"model.{n}" if "norm" in n else n: t for n, t in w.items()}, "unexpected: model.masknet.norm.w"),
    ],
)  # fmt: skip
def test_weights_of_another_network_are_refused_by_name(capsys, publish, tmp_path, change, message):
    error = refusal(capsys, publish({"state_dict": change(weights_of("ContSep"))}), tmp_path / "out")
    assert error.startswith("cse convert-checkpoint: ") and message in error


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_what_is_there_already_is_left_alone(capsys, publish, tmp_path, kind):
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to("nowhere")
    assert "is already there" in refusal(capsys, publish({"state_dict": weights_of("Separator")}), out)
    assert kind != "file" or out.read_text() == "mine"


def test_a_missing_folder_above_is_named(capsys, publish, tmp_path):
    published = publish({"state_dict": weights_of("Separator")})
    assert main(["convert-checkpoint", str(published), str(tmp_path / "no" / "out")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_it_is_listed_among_the_commands(capsys):
    assert main(["--help"]) == 0
    assert "  convert-checkpoint  turn" in capsys.readouterr().out
