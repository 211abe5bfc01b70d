"""Checks before the work: that an output can be written, and that writing it destroys nothing that is read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cse.errors import ConfigError


def check_no_input(option: str, outputs: Iterable[Path], inputs: Iterable[str | Path]) -> None:
    """Refuse an output that is one of the inputs, by whatever name or link.

    Args:
        option: Which names the outputs, for the message.
        outputs: Files that will be written.
        inputs: Files that are read; `-` is standard input.

    Raises:
        ConfigError: One of them would be overwritten.
    """
    read = {key: path for path in inputs if str(path) != "-" for key in _identities(path)}
    for output in outputs:
        for key in _identities(output):
            if key in read:
                raise ConfigError(
                    f"{option} {output}: got the file of the input {read[key]}, which would be lost; expected "
                    "another name"
                )


def _identities(path: str | Path) -> list[str | tuple[int, int]]:
    """Where a file is, and which one it is, if it is there: two names may lead to one file."""
    if "\0" in str(path):  # no file has such a name
        return []
    names: list[str | tuple[int, int]] = [os.path.realpath(path)]
    try:
        stat = os.stat(path)
    except OSError:
        return names
    return [*names, (stat.st_dev, stat.st_ino)] if stat.st_ino else names


def check_file(option: str, path: Path) -> None:
    """Make sure that a file can be written; what is no regular file (`/dev/stdout`) is left for later.

    Raises:
        ConfigError: It is a folder, or its folder is not there or takes no file.
    """
    if os.path.isdir(path):
        raise ConfigError(f"{option} {path}: got a folder, expected the name of a file")
    if os.path.exists(path) and not os.path.isfile(path):
        return
    folder = Path(os.path.realpath(path)).parent
    if not os.path.isdir(folder):
        raise ConfigError(
            f"{option} {path}: the folder {folder} does not exist; create it or name another one"
        )
    _try(option, path, folder)


def check_folder(option: str, path: Path) -> None:
    """Make sure that a folder is there and takes files, or can be made; nothing is made yet.

    Raises:
        ConfigError: It is a file, or cannot be written to, or not be made.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise ConfigError(f"{option} {path}: got a file, expected a folder; name another one")
    absolute = Path(os.path.realpath(path))
    existing = next(folder for folder in (absolute, *absolute.parents) if os.path.exists(folder))
    _try(option, path, existing)


def _try(option: str, path: Path, folder: Path) -> None:
    """Make a file for a moment: permissions do not say it all, as in /proc and on full or read-only disks."""
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".cse-"):
            pass
    except OSError as error:
        raise ConfigError(
            f"{option} {path}: cannot write in {folder}: {error.strerror}; name a folder that you may write to"
        ) from error
