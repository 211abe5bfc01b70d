"""Where pretrained weights come from: a package, a folder, or a hub repository that was asked for by name."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cse.checkpoint import hub_folder
from cse.errors import CheckpointError, MissingExtraError

TRANSFORMERS_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
"""What a model of `transformers` needs; pickled weights are left where they are."""


def package_folder(module: str, *, feature: str, package: str) -> Path:
    """Find the folder of an installed package without running any of its code.

    Args:
        module: what one would import.
        feature: what needs the package, for the message.
        package: what one would install.

    Raises:
        MissingExtraError: the package is not installed.

    Example:
        >>> package_folder("numpy", feature="this example", package="numpy").name
        'numpy'
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(feature=feature, extra="offline", package=package)
    return Path(spec.submodule_search_locations[0])


def model_folder(source: str | os.PathLike[str], *, files: Sequence[str]) -> Path:
    """Find the folder of a model. Only a name that begins with `hf://` is downloaded.

    Args:
        source: a folder, or `hf://organisation/name[@revision]`.
        files: names or patterns of the files to download in the second case.

    Raises:
        CheckpointError: no such folder, or the download failed.
    """
    text = os.fspath(source)
    if text.startswith("hf://"):
        return hub_folder(text, files)
    folder = Path(text)
    if not folder.is_dir():
        raise CheckpointError(
            f"{text}: no such folder, expected one with the model's files; to download a model write hf://{text.strip('/')}"
        )
    return folder


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep `transformers` from drawing a progress bar while it reads weights from the disk."""
    from transformers.utils import logging

    if not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def check_sha256(path: Path, expected: str) -> None:
    """Compare a file with what its publisher made.

    Raises:
        CheckpointError: the file is missing, or has another content.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read: {error.strerror}; install its package again") from error
    if found != expected:
        raise CheckpointError(
            f"{path}: got sha256 {found[:12]}…, expected {expected[:12]}…; install its package again"
        )
