"""From a checkpoint of the paper's own code to one of ours."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cse.building import instantiate
from cse.checkpoint import save_checkpoint
from cse.errors import CheckpointError, some
from cse.published.card import model_card
from cse.published.names import published_name
from cse.published.networks import published_config
from cse.published.reading import read_published
from cse.published.sizes import Sizes

if TYPE_CHECKING:
    from torch import Tensor


def convert_checkpoint(published: str | os.PathLike[str], out: str | os.PathLike[str]) -> dict[str, Any]:
    """Write a published checkpoint anew as one that `cse` loads; its outputs stay the same.

    What kind of network it is and how large is read off its weights. Nothing in the file is run, nothing downloaded.

    Args:
        published: `{"state_dict": weights}`, as the published training code saves it.
        out: The new checkpoint: a folder, or one file that ends in `.safetensors`. There must be nothing yet.

    Returns:
        The config of the model.

    Raises:
        CheckpointError: `published` cannot be read, is no published network, or `out` is already there.
        CseError: `out` cannot be written.
    """
    source, target = Path(published), Path(out)
    if os.path.lexists(target):
        raise CheckpointError(
            f"{target}: is already there, expected a new name; remove it or name another one"
        )
    weights = read_published(source)
    try:
        config = published_config(Sizes.of(weights))
        state = _renamed(weights, config)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error
    parameters = sum(tensor.numel() for tensor in state.values())
    card = model_card(source.name, _sha256(source), config, parameters)
    save_checkpoint(target, {"model": config}, state, card)
    return config


def _renamed(weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Published weights under our names, float32; every one that the model needs, and no other."""
    expected = _expected(config)
    missing = [name for name in expected if name not in weights]
    unexpected = [name for name in weights if name not in expected]
    wrong = [
        f"{name} got {tuple(weights[name].shape)} expected {shape}"
        for name, (_, shape) in expected.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    problems = [
        f"{what}: {some(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("wrong shape", wrong))
        if names
    ]
    if problems:
        kind = config["_target_"].rpartition(".")[2]
        raise CheckpointError(
            f"these look like the weights of {kind}, but do not fit it: {'; '.join(problems)}; expected the weights of "
            "one published network, whole and unchanged"
        )
    return {ours: weights[name].float() for name, (ours, _) in expected.items()}


def _expected(config: Mapping[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """By published name: our name, and the shape."""
    import torch

    with torch.device("meta"):  # shapes without numbers
        model = instantiate(config)
    return {published_name(name): (name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
