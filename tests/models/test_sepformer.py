"""SepFormer gives the same however it is computed: whole, in slices, checkpointed, fewer masks, half precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cse.models.backbones import transformer
from cse.models.backbones.chunks import join_chunks
from cse.models.backbones.sepformer import SepFormer
from cse.models.cues.cue import Cue
from cse.models.fusion.cross_attention import CrossAttention
from cse.models.fusion.film import FiLM
from cse.models.fusion.prompt import Prompt


def build(**options) -> SepFormer:
    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 2, "repeats": 2, "heads": 2, "feed_forward": 24, "chunk_size": 20}
    return SepFormer(channels=12, talkers=3, **{"fusion": Prompt, "cue_width": 5, **sizes, **options}).eval()


def inputs(batch: int = 2, frames: int = 107) -> tuple[torch.Tensor, Cue]:
    torch.manual_seed(1)
    return torch.randn(batch, 12, frames), Cue.of(torch.randn(batch, 2, 5))


@pytest.mark.parametrize("fusion", [None, Prompt, FiLM, CrossAttention])
@pytest.mark.parametrize("slice_positions", [1, 100, 10_000])
def test_slices_change_nothing(fusion, slice_positions, monkeypatch):
    net = build(fusion=fusion, cue_width=None if fusion is None else 5)
    features, cue = inputs(batch=3)
    cue = cue if fusion is not None else None
    whole, heard = net.masks_and_prompts(features, cue)
    assert whole.requires_grad
    monkeypatch.setattr(transformer, "SLICE_POSITIONS", slice_positions)
    with torch.inference_mode():
        sliced, sliced_heard = net.masks_and_prompts(features, cue)
    assert torch.allclose(sliced, whole, atol=1e-5)
    assert (heard is None) == (fusion is not Prompt)
    if heard is not None:
        assert torch.allclose(sliced_heard, heard, atol=1e-5)


def test_no_slice_is_larger_than_asked_for(monkeypatch):
    seen = []
    monkeypatch.setattr(transformer, "SLICE_POSITIONS", 64)
    net = build()
    net.repeats[0].intra.layers[0].register_forward_hook(
        lambda _, args, __: seen.append(args[0].shape[:2].numel())
    )
    with torch.inference_mode():
        net(*inputs(frames=500))
    assert len(seen) > 10
    assert max(seen) <= 64


def test_the_first_masks_are_those_of_all():
    net, (features, cue) = build(), inputs()
    everything, _ = net.masks_and_prompts(features, cue)
    for masks in (1, 2):
        some, _ = net.masks_and_prompts(features, cue, masks=masks)
        assert torch.allclose(some, everything[:, :masks], atol=1e-6)


def test_talkers_may_be_split_after_the_chunks_are_joined():
    """The published order: first split the chunks, then join them."""
    net, (features, cue) = build(), inputs()
    kept = {}
    net.repeats[-1].register_forward_hook(lambda _, __, output: kept.update(state=output[0]))
    masks = net(features, cue)
    split = net.split_talkers(kept["state"].permute(0, 3, 1, 2)).unflatten(1, (3, -1)).flatten(0, 1)
    states = join_chunks(split.permute(0, 2, 3, 1), features.shape[-1]).transpose(1, 2)
    expected = net.exit(net.content(states) * net.gate(states)).unflatten(0, (-1, 3))
    assert torch.allclose(masks, expected, atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_checkpointing_changes_no_gradient(dropout):
    features, cue = inputs()
    gradients = []
    for checkpoint_gradients in (False, True):
        net = build(dropout=dropout, checkpoint_gradients=checkpoint_gradients).train()
        torch.manual_seed(2)
        net(features, cue).square().sum().backward()
        gradients.append({name: parameter.grad for name, parameter in net.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient.abs().max() > 0, name
        assert torch.allclose(gradient, gradients[1][name], rtol=1e-4, atol=1e-5), name


def test_checkpointing_keeps_less_for_the_backward_pass():
    features, cue = inputs(frames=1000)
    kept_bytes = []
    for checkpoint_gradients in (False, True):
        net = build(checkpoint_gradients=checkpoint_gradients).train()
        kept = {}

        def pack(tensor, kept=kept):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            net(features, cue)
        kept_bytes.append(sum(kept.values()))
    assert kept_bytes[1] < 0.5 * kept_bytes[0]


@pytest.mark.parametrize("shape", [(1, 7, 4), (20, 1, 4), (20, 7, 4)])
def test_a_projection_and_its_gradients_are_those_of_the_linear_layer(shape):
    torch.manual_seed(0)
    linear, x = nn.Linear(4, 3), torch.randn(shape, requires_grad=True)
    weights = torch.randn(*shape[:2], 3)
    wanted = [x, linear.weight, linear.bias]
    ours, theirs = transformer.project(x, linear), linear(x)
    assert torch.allclose(ours, theirs, atol=1e-6)
    for got, expected in zip(
        torch.autograd.grad((ours * weights).sum(), wanted),
        torch.autograd.grad((theirs * weights).sum(), wanted),
        strict=True,
    ):
        assert torch.allclose(got, expected, atol=1e-5)


def test_autocast_to_half_precision_gives_nearly_the_same():
    net, (features, cue) = build(), inputs()
    with torch.inference_mode():
        expected = net(features, cue)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            masks = net(features, cue).float()
    error = (masks - expected).square().sum() / expected.square().sum()
    assert 0 < error < 1e-3


def test_one_exported_graph_serves_every_length():
    net, (features, cue) = build(), inputs(batch=1, frames=107)

    class Masks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, features, tokens):
            return self.net(features, Cue.of(tokens))

    length = torch.export.Dim.DYNAMIC
    with torch.no_grad():
        graph = torch.export.export(
            Masks(), (features, cue.tokens), dynamic_shapes={"features": {2: length}, "tokens": None}
        )
        for frames in (107, 64, 333):
            features, _ = inputs(batch=1, frames=frames)
            assert torch.allclose(graph.module()(features, cue.tokens), net(features, cue), atol=1e-5)
