"""What decides a training run, so that a run goes on from its own checkpoint and from no other's."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cse.building import TRAINING_PARTS, instantiate
from cse.checkpoint import load_checkpoint
from cse.errors import CheckpointError
from simulate.settings import claim_folder

if TYPE_CHECKING:
    from cse.training.mixture_data import MixtureData
    from cse.training.system import OptimizerConfig
    from cse.training.train import TrainerConfig

RUN = "run.json"

# where and how quickly a run goes on, and how far, may change; all else decides what comes out of it
_FREE = frozenset(
    "accelerator accumulate_batches checkpoint_every_steps compile_model devices max_steps num_nodes precision "
    "progress_bar strategy".split()
)


def claim_run(
    output: Path,
    *,
    name: str,
    seed: int,
    model: Mapping[str, Any],
    objective: Mapping[str, Any],
    data: MixtureData,
    optimizer: OptimizerConfig,
    trainer: TrainerConfig,
    last: Path,
) -> None:
    """Write down what decides this run, or refuse a folder with the checkpoints of another one.

    Where there is no checkpoint yet, nothing can be mixed up, and what an earlier attempt has written is replaced. A
    run without a record, of an earlier version, is taken for this one; `check_resumable` still sees whether it fits.
    What an earlier version's record lacks, it had not known: then the run was one with the default.

    Args:
        output: Folder of the run.
        name: Of the model.
        seed: Of weights, mixtures and dropout.
        model: Constructor arguments by `_target_`.
        objective: The same of the objective.
        data: Says by content what it trains on, wherever that lies, and how.
        optimizer: All but how long its cosine is.
        trainer: The `TrainerConfig`; what only says where, how quickly and how far the run goes on may change.
        last: The checkpoint to go on from.

    Raises:
        ConfigError: The folder holds another run.
        CseError: The folder cannot be made or written to.
    """
    settings = {
        "name": name,
        "seed": seed,
        **_leaves("model", _complete(model)),
        **_leaves("objective", _complete(objective)),
        **_leaves("data", data.identity()),
        **_leaves("optimizer", {k: v for k, v in asdict(optimizer).items() if k != "total_steps"}),
        **_leaves("trainer", {k: v for k, v in asdict(trainer).items() if k not in _FREE}),
        "trainer.init_from": [_weights(one) for one in trainer.init_from],
    }
    if not last.exists():
        with suppress(OSError):  # the claim says what is wrong with the folder
            (output / RUN).unlink()
    defaults = {
        **_leaves("model", _defaults_within(model)),
        **_leaves("objective", _defaults_within(objective)),
        **_leaves("data", {**_defaults(type(data)), "mixing": _defaults(type(data.mixing))}),
        **_leaves("optimizer", _defaults(type(optimizer))),
        **_leaves("trainer", _defaults(type(trainer))),
    }
    claim_folder(output, RUN, _as_json(settings), holds="a run", defaults=_as_json(defaults))


def check_resumable(last: Path, module: nn.Module) -> None:
    """Refuse a checkpoint that is damaged or of another network, before anything is done with it.

    Args:
        last: A file; checkpoints in folders, of weights spread over processes, are not looked into.
        module: That will go on from it.

    Raises:
        CheckpointError: It cannot be read, or its tensors do not fit.
    """
    if not last.is_file():
        return
    try:
        found = torch.load(last, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
        shapes = {key: tuple(tensor.shape) for key, tensor in found.items()}
    except Exception as error:  # zip, pickle and torch each have their own, and none says what to do
        raise CheckpointError(
            f"{last}: cannot be read: got {type(error).__name__}, expected a checkpoint of cse train; copy a "
            "step….ckpt beside it to its place, or delete it to begin anew"
        ) from error
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    wrong = sorted(key for key in expected.keys() | shapes.keys() if expected.get(key) != shapes.get(key))
    if wrong:
        raise CheckpointError(
            f"{last}: is of another network: {wrong[0]} got {shapes.get(wrong[0])}, expected "
            f"{expected.get(wrong[0])} ({len(wrong)} differences); name another output"
        )


def _weights(checkpoint: str) -> str:
    return str(load_checkpoint(checkpoint).config["sha256"])


def _complete(config: Any) -> Any:
    """A config of `instantiate` with the defaults of its classes: the same whether a default was typed or not."""
    if isinstance(config, list | tuple):
        return [_complete(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    values = {key: _complete(value) for key, value in config.items()}
    if "_target_" not in config:
        return values
    return {**_defaults(_class_of(config)), **values}


def _defaults_within(config: Any) -> dict[str, Any]:
    """The defaults of all classes that a config of `instantiate` names, each in its place."""
    if not isinstance(config, Mapping):
        return {}
    inner = {key: found for key, value in config.items() if (found := _defaults_within(value))}
    return {**(_defaults(_class_of(config)) if "_target_" in config else {}), **inner}


def _class_of(config: Mapping[str, Any]) -> Callable[..., Any]:
    named = {"_target_": config["_target_"], "_partial_": True}
    built: Callable[..., Any] = instantiate(named, parts=TRAINING_PARTS).func
    return built


def _defaults(built: Callable[..., Any]) -> dict[str, Any]:
    """Of the arguments that have one."""
    parameters = inspect.signature(built).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain


def _leaves(name: str, value: Any) -> dict[str, Any]:
    """Values by dotted key.

    >>> _leaves("data", {"seed": 0, "mixing": {"talkers": 2}})
    {'data.seed': 0, 'data.mixing.talkers': 2}
    """
    if not isinstance(value, Mapping):
        return {name: value}
    return {
        key: leaf for inner, one in value.items() for key, leaf in _leaves(f"{name}.{inner}", one).items()
    }
