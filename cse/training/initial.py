"""Weights that a training starts from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from cse.checkpoint import load_checkpoint
from cse.errors import CheckpointError


def load_initial(model: nn.Module, checkpoints: Sequence[str]) -> None:
    """Copy from each checkpoint the parts that the model has too, such as a separator's backbone into a ContSep.

    A part is what the first two names of a tensor say (`backbone.repeats`, `selector.listener`). It is taken whole or
    the checkpoint is refused; parts that only one of both has are left alone.

    Raises:
        CheckpointError: If a checkpoint shares no part with the model, or a shared part has other tensors.
    """
    for name in checkpoints:
        state = load_checkpoint(name).state
        own = model.state_dict()
        shared = _parts(own) & _parts(state)
        if not shared:
            raise CheckpointError(
                f"{name}: got {_listed(_parts(state))}, expected a model that shares a part with {_listed(_parts(own))}"
            )
        wanted = {key: tuple(tensor.shape) for key, tensor in own.items() if _part(key) in shared}
        found = {key: tuple(tensor.shape) for key, tensor in state.items() if _part(key) in shared}
        if wanted != found:
            different = sorted(
                key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)
            )
            raise CheckpointError(
                f"{name}: does not fit the model: {different[0]} got {found.get(different[0])}, expected "
                f"{wanted.get(different[0])} ({len(different)} differences); give both the same sizes"
            )
        model.load_state_dict({key: tensor for key, tensor in state.items() if key in wanted}, strict=False)


def _part(key: str) -> str:
    return ".".join(key.split(".")[:2])


def _parts(keys: Iterable[str]) -> set[str]:
    return {_part(key) for key in keys}


def _listed(parts: set[str]) -> str:
    return ", ".join(sorted(parts))
