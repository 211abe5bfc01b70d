"""The network that never looks ahead: the same in pieces, nothing of the future, and asteroid's blocks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from asteroid.masknn.convolutional import Conv1DBlock
from torch import nn

from cse.building import instantiate
from cse.checkpoint import load_checkpoint, load_state, save_checkpoint
from cse.models.backbones.causal_conv_tasnet import CausalConvTasNet
from cse.models.backbones.causal_layers import CausalChain, CausalLayer
from cse.models.cues.cue import Cue
from cse.models.fusion.cross_attention import CrossAttention
from cse.models.fusion.film import FiLM
from cse.models.fusion.prompt import Prompt

SMALL: dict[str, Any] = {"channels": 6, "talkers": 2, "bottleneck": 4, "hidden": 8, "blocks": 3, "repeats": 2}


def network(**more: Any) -> CausalConvTasNet:
    torch.manual_seed(0)
    return CausalConvTasNet(**SMALL, **more).eval()


def in_pieces(net: CausalConvTasNet, features: torch.Tensor, lengths: list[int], cue: Cue | None = None):
    state, masks = net.begin(features), []
    for piece in features.split(lengths, dim=-1):
        one, state = net.step(piece, state, cue)
        masks.append(one)
    return torch.cat(masks, -1)


@pytest.mark.parametrize("lengths", [[1] * 40, [7, 1, 32], [40]])
@pytest.mark.parametrize("fusion", [None, FiLM, CrossAttention])
def test_pieces_give_what_the_whole_gives(lengths, fusion):
    net = network(fusion=fusion, cue_width=None if fusion is None else 5)
    cue = None if fusion is None else Cue.of(torch.randn(3, 2, 5))
    features = torch.randn(3, 6, 40)
    with torch.no_grad():
        torch.testing.assert_close(
            in_pieces(net, features, lengths, cue), net(features, cue), atol=1e-5, rtol=0
        )


def test_a_state_can_be_used_twice():
    net, features = network(), torch.randn(1, 6, 20)
    with torch.no_grad():
        _, state = net.step(features[..., :12], net.begin(features))
        first, _ = net.step(features[..., 12:], state)
        again, _ = net.step(features[..., 12:], state)
    torch.testing.assert_close(first, again)


def test_no_mask_depends_on_a_later_frame():
    net, features = network(), torch.randn(1, 6, 60)
    other = features.clone()
    other[..., 35:] = 100 * torch.randn(1, 6, 25)
    with torch.no_grad():
        masks, changed = net(features), net(other)
    assert torch.equal(masks[..., :35], changed[..., :35])
    assert not torch.allclose(masks[..., 35:], changed[..., 35:])


def test_every_parameter_gets_a_gradient():
    net = network()
    net(torch.randn(2, 6, 30)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())


def test_a_fusion_that_needs_sequences_is_refused():
    with pytest.raises(ValueError, match="CausalConvTasNet has no sequences"):
        network(fusion=Prompt, cue_width=5)


def test_a_block_is_asteroid_s_causal_block():
    torch.manual_seed(1)
    dilation, kernel_size = 4, 3
    theirs = Conv1DBlock(4, 8, 0, kernel_size, (kernel_size - 1) * dilation, dilation, "cgLN", causal=True)
    ours = network().repeats[0].layers[2]  # the third block has dilation 4
    assert isinstance(ours, CausalChain)
    nn.init.normal_(theirs.shared_block[2].gamma)
    with torch.no_grad():
        wanted = [parameter.flatten() for parameter in theirs.parameters()]
        for mine, other in zip(ours.parameters(), wanted, strict=True):
            mine.copy_(other.view_as(mine))
        frames = torch.randn(2, 4, 50)
        torch.testing.assert_close(ours(frames), frames + theirs(frames), atol=1e-5, rtol=1e-5)


def test_a_long_sequence_is_normalised_like_a_short_one():
    """Sums in single precision would be wrong by a percent after ten million features."""
    from cse.models.backbones.causal_layers import CumulativeNorm

    norm: CausalLayer = CumulativeNorm(channels=4)
    frames = 3.0 + torch.randn(1, 4, 200_000)
    with torch.no_grad():
        normed = norm(frames)[..., -1]
        exact = frames.double()
        expected = (exact[..., -1] - exact.mean()) / exact.std(correction=0)
    torch.testing.assert_close(normed, expected.float(), atol=1e-5, rtol=1e-5)


def test_it_is_saved_and_loaded_as_a_checkpoint(tmp_path):
    config = {
        "_target_": "cse.models.separator.Separator",
        "sample_rate": 8000,
        "filterbank": {"_target_": "cse.models.filterbanks.LearnedFilterbank", "channels": 6},
        "backbone": {"_target_": "cse.models.backbones.causal_conv_tasnet.CausalConvTasNet", **SMALL},
    }
    torch.manual_seed(0)
    separator = instantiate(config)
    save_checkpoint(
        tmp_path / "causal", {"name": "causal", "model": config}, separator.state_dict(), "A test."
    )
    loaded = load_checkpoint(tmp_path / "causal")
    again = instantiate(loaded.config["model"])
    load_state(again, loaded.state)
    mixture = torch.randn(1, 999)
    assert torch.equal(separator.eval()(mixture), again.eval()(mixture))
