"""Grow a trained band-split network without changing what it computes, so a large one need not start from nothing.

Every feature and every recurrent unit is doubled, and what leaves it is shared out unevenly between the two, so that
they part in training (Chen et al., "Net2Net: accelerating learning via knowledge transfer", ICLR 2016). New outputs
begin silent; attention between frames begins with no say.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cse.building import instantiate
from cse.checkpoint import load_checkpoint, load_state, save_checkpoint
from cse.models.backbones.band_split_rnn import BandSplitRNN, ResidualLSTM
from cse.models.separator import Separator

_SHARE = 0.3  # how far shares of the two copies are from one half


def grow(
    small: Separator, config: dict[str, Any], *, talkers: int, attention_heads: int, gain: float
) -> Separator:
    """The network twice as wide, with as many outputs as asked, that separates as `small` does.

    Args:
        small: A separator with a `BandSplitRNN`.
        config: Its constructor arguments by `_target_`; changed to those of the result.
        talkers: Outputs of the result; those that `small` does not have are silent.
        attention_heads: See `BandSplitRNN`.
        gain: What estimates are multiplied by. SI-SNR, by which `small` was trained, leaves their level open.
    """
    old = small.backbone
    assert isinstance(old, BandSplitRNN)
    width, hidden = old.repeats[0].time.lstm.input_size, old.repeats[0].time.lstm.hidden_size
    config["backbone"] |= {
        "width": 2 * width,
        "hidden": 2 * hidden,
        "talkers": talkers,
        "attention_heads": attention_heads,
    }
    large = instantiate(config)
    new = large.backbone
    for entry, old_entry in zip(new.entries, old.entries, strict=True):
        entry.load_state_dict(
            {
                key: _doubled(value, 0) if key.startswith("1.") else value
                for key, value in old_entry.state_dict().items()
            }
        )
    for repeat, old_repeat in zip(new.repeats, old.repeats, strict=True):
        for name in ("time", "band"):
            _grow_recurrent(getattr(repeat, name), getattr(old_repeat, name))
        if attention_heads:
            nn.init.zeros_(repeat.frames.exit.weight)
            nn.init.zeros_(repeat.frames.exit.bias)
    for exit_, old_exit in zip(new.exits, old.exits, strict=True):
        _grow_exit(exit_, old_exit, gain)
    return large


def _grow_recurrent(new: ResidualLSTM, old: ResidualLSTM) -> None:
    for key in ("weight", "bias"):
        getattr(new.norm, key).copy_(_doubled(getattr(old.norm, key), 0))
    for name, value in old.lstm.named_parameters():
        gates = torch.cat([_doubled(gate, 0) for gate in value.chunk(4)])  # each gate has its own copies
        getattr(new.lstm, name).copy_(_shared(gates, 1) if value.ndim == 2 else gates)
    directions = old.projection.weight.chunk(2, dim=1)
    weight = torch.cat([_shared(_doubled(part, 0), 1) for part in directions], dim=1)
    new.projection.weight.copy_(weight)
    new.projection.bias.copy_(_doubled(old.projection.bias, 0))


def _grow_exit(new: nn.Sequential, old: nn.Sequential, gain: float) -> None:
    """To each mask the filterbank adds one half; new outputs take it off again, and the gain is one of the sum."""
    norm, entry, _, last = new
    old_norm, old_entry, _, old_last = old
    norm.weight.copy_(_doubled(old_norm.weight, 0))
    norm.bias.copy_(_doubled(old_norm.bias, 0))
    entry.weight.copy_(_shared(_doubled(old_entry.weight, 0), 1))
    entry.bias.copy_(_doubled(old_entry.bias, 0))
    known = len(old_last.bias)
    last.weight.zero_()
    last.weight[:known] = gain * _shared(old_last.weight, 1)
    bins = known // 4  # of two talkers, real and imaginary
    half = torch.cat([torch.full((bins,), 0.5), torch.zeros(bins)]).repeat(len(last.bias) // (2 * bins))
    last.bias.copy_(-half)
    last.bias[:known] += gain * (old_last.bias + half[:known])


def _doubled(value: Tensor, dim: int) -> Tensor:
    return torch.cat([value, value], dim=dim)


def _shared(value: Tensor, dim: int) -> Tensor:
    """Twice as many weights along `dim`, which add up to those that were there."""
    share = 0.5 + _SHARE * (2 * torch.rand_like(value) - 1)
    return torch.cat([share * value, (1 - share) * value], dim=dim)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", required=True, help="checkpoint folder or packaged name of the small network"
    )
    parser.add_argument("--talkers", type=int, default=3)
    parser.add_argument("--attention-heads", type=int, default=4)
    parser.add_argument(
        "--gain", type=float, default=0.115, help="of the estimates, to their level in the mixture"
    )
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    checkpoint = load_checkpoint(options.model)
    small = instantiate(checkpoint.config["model"])
    load_state(small, checkpoint.state)
    config = dict(checkpoint.config["model"])
    with torch.no_grad():
        large = grow(
            small,
            config,
            talkers=options.talkers,
            attention_heads=options.attention_heads,
            gain=options.gain,
        )
    card = f"Grown from {checkpoint.name}; to be trained on.\n"
    save_checkpoint(options.output, {"name": "grown", "model": config}, large.state_dict(), card)
    print(options.output)


if __name__ == "__main__":
    main()
