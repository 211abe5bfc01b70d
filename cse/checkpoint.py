"""Self-describing checkpoints: the weights, how to build the model they belong to, and where they come from.

A checkpoint is a folder with `config.json` (`format`, `name`, `model` with its constructor arguments under
`_target_`, `sha256` of the weights), `model.safetensors` and `model_card.md`; or one `.safetensors` file with
the last two as metadata, there `sha256` is that of the tensors' bytes. Nothing is unpickled, and `_target_`
can only name parts of models (see `cse.building`). Only names that begin with `hf://` are ever downloaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cse.errors import CheckpointError, CseError, one_line, some
from cse.files import atomic_write, replace_folder

if TYPE_CHECKING:
    from torch import Tensor, nn

DEFAULT_MODEL = "separator-16k"
FORMAT = 1
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "model_card.md"

_PRETRAINED = Path(__file__).parent / "pretrained"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HUB = re.compile(r"hf://([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?")
_PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle", ".joblib", ".npy", ".npz"})


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: `config` as in `config.json`, tensors by name, model card, its name."""

    config: dict[str, Any]
    state: dict[str, Tensor]
    card: str
    name: str


def packaged_models() -> list[str]:
    """Names of the models that came with the package, for `load_checkpoint`."""
    return sorted(path.parent.name for path in _PRETRAINED.glob(f"*/{CONFIG}"))


def load_checkpoint(name_or_path: str | os.PathLike[str]) -> Checkpoint:
    """Read and check a checkpoint; `instantiate` and `load_state` make a model of it.

    Args:
        name_or_path: a packaged name, a folder, a `.safetensors` file that carries its config, or
            `hf://org/name[@revision]`, which downloads from the Hugging Face hub (and only that does).
            A packaged name wins over a folder of the same name; write `./name` for the folder.

    Raises:
        CheckpointError: no such model, a missing, truncated or changed file, an unknown format, or a pickle.
    """
    text = os.fspath(name_or_path)
    if text.startswith("hf://"):
        return replace(_read_folder(hub_folder(text, (CONFIG, WEIGHTS, CARD))), name=text)
    if isinstance(name_or_path, str) and _NAME.fullmatch(text) and text in packaged_models():
        return _read_folder(_PRETRAINED / text)
    path = Path(text)
    if os.path.isdir(path):  # unlike Path.is_dir never raises
        return _read_folder(path)
    if path.suffix.lower() in _PICKLES:
        raise CheckpointError(
            f"{path}: got a {path.suffix} file, which can run code when loaded; expected {CONFIG}, {WEIGHTS} "
            f"and {CARD} in a folder, or one .safetensors file of save_checkpoint"
        )
    if os.path.isfile(path):
        return _read_one_file(path)
    packaged = ", ".join(packaged_models()) or "none"
    raise CheckpointError(
        f"{text}: no such model; expected a folder, a .safetensors file or a packaged name ({packaged})"
    )


def stated_sha256(name_or_path: str) -> str | None:
    """The digest of a model's weights as the config in its folder states it; None where there is none that does."""
    folder = _PRETRAINED / name_or_path if name_or_path in packaged_models() else Path(name_or_path)
    try:
        return str(json.loads((folder / CONFIG).read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_checkpoint(
    path: str | os.PathLike[str], config: Mapping[str, Any], state: Mapping[str, Tensor], card: str
) -> None:
    """Write a checkpoint, complete or not at all: a folder, or one file where `path` ends in `.safetensors`.

    An older checkpoint at `path` is replaced; a folder that holds anything else is left alone.

    Args:
        path: where to.
        config: needs `model`, a mapping with `_target_` and constructor arguments; `format` and `sha256` are
            filled in, and `name` where it is missing.
        state: tensors by name, from any device.
        card: the model card, Markdown: data, licence, measured numbers, how made.

    Raises:
        CheckpointError: the config does not describe a model, or the folder holds other files.
        CseError: the folder above is missing or not writable.
    """
    import safetensors.torch

    path = Path(path)
    one_file = path.suffix == ".safetensors"
    # clones, because safetensors refuses tensors that share memory (tied weights)
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    weights = safetensors.torch.save(tensors)
    name = path.stem if one_file else path.resolve().name
    sha256 = _sha256(_tensor_bytes(weights) if one_file else weights)
    config = {"name": name, **config, "format": FORMAT, "sha256": sha256}
    _check_config(config, str(path))
    try:
        text = json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the config cannot be written as JSON: {error}") from error
    if one_file:
        with atomic_write(path) as beside:
            beside.write_bytes(safetensors.torch.save(tensors, {"config": text, "model_card": card}))
    else:
        _replace_folder(path, {CONFIG: text.encode() + b"\n", WEIGHTS: weights, CARD: card.encode()})


def load_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy tensors into a module whose names and shapes they must match exactly.

    Raises:
        CheckpointError: tensors missing or left over, of another shape, or not finite; names at most three of
            each.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    got = {name: tuple(tensor.shape) for name, tensor in state.items()}
    problems = []
    if missing := [name for name in expected if name not in got]:
        problems.append(f"missing {some(missing)}")
    if unexpected := [name for name in got if name not in expected]:
        problems.append(f"unexpected {some(unexpected)}")
    shapes = [
        f"{name} got {got[name]} expected {shape}"
        for name, shape in expected.items()
        if got.get(name, shape) != shape
    ]
    if shapes:
        problems.append(f"wrong shape: {some(shapes)}")
    if wrong := [
        name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()
    ]:
        problems.append(f"not finite: {some(wrong)}")
    if problems:
        raise CheckpointError(f"the weights do not fit {type(module).__name__}: {'; '.join(problems)}")
    module.load_state_dict(dict(state), strict=True)


# ---- reading


def _read_folder(folder: Path) -> Checkpoint:
    missing = [file for file in (CONFIG, WEIGHTS, CARD) if not (folder / file).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder}: no {' and no '.join(missing)}; expected {CONFIG}, {WEIGHTS} and {CARD} in it"
        )
    config = _parse_config(_bytes(folder / CONFIG), str(folder / CONFIG))
    weights = _bytes(folder / WEIGHTS)
    state = _tensors(weights, folder / WEIGHTS)
    _check_sha256(weights, config, folder / WEIGHTS)
    return Checkpoint(config, state, _card(_bytes(folder / CARD)), config["name"])


def _read_one_file(path: Path) -> Checkpoint:
    weights = _bytes(path)
    state = _tensors(weights, path)
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not {"config", "model_card"} <= metadata.keys():
        raise CheckpointError(
            f'{path}: no "config" and "model_card" in its metadata; expected a file of save_checkpoint'
        )
    config = _parse_config(metadata["config"].encode(), f"{path} (metadata)")
    _check_sha256(_tensor_bytes(weights), config, path)
    return Checkpoint(config, state, metadata["model_card"], config["name"])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read: {error.strerror}") from error


def _card(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _tensors(weights: bytes, path: Path) -> dict[str, Tensor]:
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load(weights)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path}: truncated, or no safetensors file ({len(weights)} bytes: {one_line(error)}); "
            "fetch or save it again"
        ) from error


def _tensor_bytes(weights: bytes) -> bytes:
    """The part of a safetensors file after its header."""
    return weights[8 + int.from_bytes(weights[:8], "little") :]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_sha256(data: bytes, config: dict[str, Any], path: Path) -> None:
    got = _sha256(data)
    if got != config["sha256"]:
        raise CheckpointError(
            f"{path}: got sha256 {got[:12]}…, its config expects {config['sha256'][:12]}…; "
            "it was changed or mixed up"
        )


def _parse_config(data: bytes, where: str) -> dict[str, Any]:
    try:
        config = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{where}: is no JSON: {one_line(error)}") from None
    return _check_config(config, where)


def _check_config(config: Any, where: str) -> dict[str, Any]:
    if not isinstance(config, dict):
        raise CheckpointError(f"{where}: got a {type(config).__name__}, expected a JSON object")
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{where}: got format {config.get('format')!r}, expected {FORMAT}; try a newer version of cse"
        )
    if not isinstance(config.get("name"), str):
        raise CheckpointError(f'{where}: no "name", expected a string')
    if not isinstance(config.get("sha256"), str) or not re.fullmatch("[0-9a-f]{64}", config["sha256"]):
        raise CheckpointError(f'{where}: no "sha256", expected 64 hexadecimal digits')
    model = config.get("model")
    if not isinstance(model, Mapping) or not isinstance(model.get("_target_"), str):
        raise CheckpointError(f'{where}: no "model" with a "_target_", expected how to build the model')
    return config


def hub_folder(name: str, files: Sequence[str]) -> Path:
    """Download files of a repository on the Hugging Face hub, or find them in its cache; only by its name.

    Args:
        name: `hf://organisation/name`, or `hf://organisation/name@revision`.
        files: names or patterns (`*.json`) of the wanted files; what matches none is not fetched.

    Raises:
        CheckpointError: not a name of this form, no such repository, or no network.
    """
    match = _HUB.fullmatch(name)
    if match is None:
        raise CheckpointError(f"{name}: expected hf://organisation/name, or hf://organisation/name@revision")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(match[1], revision=match[2], allow_patterns=list(files))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise CheckpointError(f"{name}: cannot be downloaded: {one_line(error)}") from error
    return Path(folder)


# ---- writing


def _replace_folder(path: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files into a new folder beside `path`, then swap; the old one goes last, or comes back."""
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_dir():
        raise CheckpointError(
            f"{path}: is a file, expected the name of a folder, or one that ends in .safetensors"
        )
    if not path.parent.is_dir():
        raise CseError(
            f"{path}: cannot write: the folder {path.parent} does not exist; create it or name another one"
        )
    others = sorted({entry.name for entry in path.iterdir()} - set(contents)) if path.exists() else []
    if others:
        raise CheckpointError(
            f"{path}: holds other files ({some(others)}), which would be lost; name another folder"
        )
    beside = path.parent / f".cse-{secrets.token_hex(6)}-new"
    try:
        beside.mkdir()
        for name, content in contents.items():
            (beside / name).write_bytes(content)
        replace_folder(beside, path)
    except OSError as error:
        raise CseError(f"{path}: cannot write: {one_line(error)}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
