"""From what a config says about a model to the model: `_target_` names a class, the other entries are its arguments."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from cse.errors import CheckpointError, CseError, one_line

MODEL_PARTS = (
    "cse.models", "cse.selection.next_turn_network", "cse.history",
    "cse.encoders.text", "cse.encoders.lora", "cse.encoders.ge2e", "cse.encoders.ecapa", "cse.encoders.raw_ecapa",
)  # fmt: skip
"""Modules and packages whose classes a config may name.

When it is built, none of them runs a program or writes where it is told to (an encoder may fetch what the config calls
hf://…): a checkpoint comes from anywhere, and what it names is built before anybody can see whether it is a model.
"""

TRAINING_PARTS = (*MODEL_PARTS, "cse.training")
"""The same for the options of a training, which are the user's own."""


def instantiate(config: Any, *, parts: Sequence[str] = MODEL_PARTS) -> Any:
    """Build what `_target_` names, with the other entries as its keyword arguments, innermost first.

    Mappings without `_target_`, lists and plain values are passed on as they are. Beside `_target_`, `_partial_: true`
    asks for a function that builds it once the missing arguments are known, as in Hydra.

    Args:
        config: Where it may come from a stranger, only with the default `parts`.
        parts: Modules and packages whose classes may be named.

    Raises:
        CheckpointError: `_target_` is no class of `parts`, or the class does not take these arguments.

    Example:
        >>> instantiate({"_target_": "cse.history.Turn", "text": "Hi", "speaker": "Ana"})
        Turn(text='Hi', speaker='Ana', time=None)
    """
    if isinstance(config, list | tuple):
        return [instantiate(item, parts=parts) for item in config]
    if not isinstance(config, Mapping):
        return config
    values = {
        str(key): instantiate(value, parts=parts)
        for key, value in config.items()
        if key not in ("_target_", "_partial_")
    }
    if "_target_" not in config:
        return values
    target = config["_target_"]
    built = _resolve(target, parts)
    partial = config.get("_partial_") is True
    signature = inspect.signature(built)
    try:
        (signature.bind_partial if partial else signature.bind)(**values)
    except TypeError as error:
        raise CheckpointError(
            f"{target}: {error}; expected {', '.join(signature.parameters) or 'no arguments'}"
        ) from None
    if partial:
        return functools.partial(built, **values)
    try:
        return built(**values)
    except (
        TypeError,
        ValueError,
        RuntimeError,
        ArithmeticError,
        LookupError,
        AssertionError,
        CseError,
    ) as error:
        raise CheckpointError(f"{target}: these arguments build no model: {one_line(error)}") from error


def _resolve(target: Any, parts: Sequence[str]) -> type:
    names = target.split(".") if isinstance(target, str) else []
    if (
        len(names) < 3
        or names[0] != "cse"
        or not all(name.isidentifier() and not name.startswith("_") for name in names)
    ):
        raise CheckpointError(
            f"_target_: got {target!r}, expected the path of a public class of cse: cse.module.Class"
        )
    module = ".".join(names[:-1])
    try:
        found = getattr(importlib.import_module(module), names[-1], None) if _is_in(module, parts) else None
    except ImportError as error:
        raise CheckpointError(
            f"_target_: got {target!r}, which cannot be imported: {one_line(error)}"
        ) from error
    if not isinstance(found, type) or not _is_in(found.__module__, parts):
        raise CheckpointError(
            f"_target_: got {target!r}, which is no part of a model of cse; is the checkpoint of a newer version?"
        )
    return found


def _is_in(module: str, parts: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{part}.") for part in parts)
