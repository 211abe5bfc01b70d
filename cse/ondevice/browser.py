"""A folder with all that a browser needs to separate recordings by itself: model, runtime, and what they are."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from cse.errors import ConfigError, CseError
from cse.files import replace_folder
from cse.ondevice.description import Description, Precision
from cse.ondevice.web_runtime import DESCRIPTION, MODULE, VERSION, fetch_runtime

FILES = Path(__file__).parent / "browser_files"
"""Where `cse export browser` writes, and the service looks, unless told otherwise."""

MANIFEST = "manifest.json"
RUNTIME_SUFFIXES = (".mjs", ".wasm")
_FORMAT = 1


def export_browser(
    name_or_path: str | os.PathLike[str],
    folder: str | os.PathLike[str] = FILES,
    *,
    precision: Precision,
    package: Path | None = None,
) -> dict[str, Any]:
    """Write the folder, complete or not at all, in the place of an older one.

    Every file but the manifest is there compressed as well, for the service to send.

    Args:
        name_or_path: A separator, as `cse.checkpoint.load_checkpoint`.
        folder: Where to; new, empty, or of this command.
        precision: See `cse.ondevice.export.export_onnx`.
        package: See `cse.ondevice.web_runtime.fetch_runtime`.

    Returns:
        What is in the manifest.

    Raises:
        CheckpointError: No such model, or none that can be exported.
        MissingExtraError: onnx, or for int8 onnxruntime, is not installed.
        ConfigError: The model is no separator, or the folder holds something else.
        CseError: The runtime cannot be fetched, or the folder not be written.
    """
    from cse.ondevice.export import (
        export_onnx,
    )  # here, since the service only wants to know where the files are

    target = Path(os.path.realpath(folder))  # a link stays, and "." has a name
    try:
        if target.exists() and not _is_ours(target):
            raise ConfigError(
                f"{folder}: holds something else, expected no folder, or one of cse export browser"
            )
        with tempfile.TemporaryDirectory(prefix=".cse-", dir=target.parent) as name:
            made = Path(name) / "files"
            made.mkdir()
            description = export_onnx(name_or_path, made / "model.onnx", precision=precision)
            if description.kind != "separator":
                raise ConfigError(
                    f"{description.name}: got an extractor, expected a separator: browsers encode no cues"
                )
            fetch_runtime(made, package=package)
            manifest = _manifest(made, description)
            for file in list(made.iterdir()):
                _compress(file)
            (made / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
            replace_folder(made, target)
    except OSError as error:
        raise CseError(
            f"{folder}: cannot write: {error.strerror}; name a folder beside which you may write"
        ) from error
    return manifest


def _is_ours(folder: Path) -> bool:
    """Whether there is nothing in a folder but what an earlier export wrote; web apps have a manifest.json too."""
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    if not names:
        return True
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        written = {MANIFEST, DESCRIPTION, manifest["model"]["file"], manifest["runtime"]["file"]}
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return False
    return all(
        name.removesuffix(".gz") in written or name.removesuffix(".gz").endswith(RUNTIME_SUFFIXES)
        for name in names
    )


def _manifest(folder: Path, description: Description) -> dict[str, Any]:
    model = folder / "model.onnx"
    model = model.rename(folder / f"{description.name}.{description.precision}.onnx")
    return {
        "format": _FORMAT,
        "model": {
            **_file(model),
            "name": description.name,
            "precision": description.precision,
            "sample_rate_hz": description.sample_rate,
            "talkers": description.talkers,
        },
        "runtime": {
            **_file(folder / MODULE),
            "version": VERSION,
            "bytes": sum(
                _file(file)["bytes"] for file in folder.iterdir() if file.suffix in RUNTIME_SUFFIXES
            ),
        },
    }


def _file(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"file": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _compress(path: Path) -> None:
    packed = gzip.compress(path.read_bytes(), compresslevel=9, mtime=0)
    path.with_name(f"{path.name}.gz").write_bytes(packed)
