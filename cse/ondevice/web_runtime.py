"""onnxruntime for browsers, out of its npm package: an exact version, checked against its digest."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cse.errors import CseError, one_line

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""What npm says of this version; another one was not tried."""

MODULE = "ort.wasm.bundle.min.mjs"
"""For processors only: the packages for GPUs are twice as large."""

DESCRIPTION = "package.json"

_FILES = {f"package/dist/{MODULE}": MODULE} | {
    f"package/{path}": Path(path).name for path in ("dist/ort-wasm-simd-threaded.wasm", DESCRIPTION)
}
_LIMIT_S = 600.0


def fetch_runtime(folder: Path, *, package: Path | None = None, integrity: str = INTEGRITY) -> None:
    """Put the module, its WebAssembly and the package's own description into a folder.

    Args:
        folder: Where to.
        package: The file of `npm pack`, where it is here already; None asks npm for it.
        integrity: As in npm's lock files: sha512 in base 64.

    Raises:
        CseError: There is no npm, the package cannot be fetched, or it is another one than expected.
    """
    if package is not None:
        _unpack(package, folder, integrity)
        return
    with tempfile.TemporaryDirectory() as fetched:
        _unpack(_packed(Path(fetched)), folder, integrity)


def _packed(folder: Path) -> Path:
    npm = shutil.which("npm")
    wanted = f"{PACKAGE}@{VERSION}"
    if npm is None:
        raise CseError(
            f"got no npm, expected it to fetch {wanted}; install Node.js, or fetch the package elsewhere with npm pack "
            f"{wanted} and name its file with --runtime"
        )
    command = [
        npm,
        "pack",
        wanted,
        "--pack-destination",
        str(folder),
        "--ignore-scripts",
        "--loglevel",
        "error",
    ]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CseError(f"npm cannot fetch {wanted}: {one_line(error)}; try again") from error
    found = list(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise CseError(f"npm cannot fetch {wanted}: {said}; check the connection, or npm config get registry")
    return found[0]


def _unpack(package: Path, folder: Path, integrity: str) -> None:
    try:
        content = package.read_bytes()
    except OSError as error:
        raise CseError(f"{package}: cannot read the package: {error.strerror}") from error
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != integrity:
        raise CseError(
            f"{package.name}: got {found[:20]}…, expected {integrity[:20]}…: not {PACKAGE} {VERSION}"
        )
    with tarfile.open(package) as archive:
        _copy(archive, folder, _FILES)


def _copy(archive: tarfile.TarFile, folder: Path, files: Mapping[str, str]) -> None:
    for member, name in files.items():
        source = archive.extractfile(member)
        assert source is not None  # the digest says so
        with source, (folder / name).open("wb") as sink:
            shutil.copyfileobj(source, sink)
