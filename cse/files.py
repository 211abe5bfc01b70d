"""Files that are either complete or not there: written beside their place, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cse.errors import CseError, one_line


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it when the block succeeds, remove it when it fails.

    Whatever was at `path` stays untouched until the new content is complete. A link is followed. What is no
    regular file (`/dev/stdout`, a named pipe) is not replaced but written into, at the end.

    Raises:
        CseError: the folder is missing or not writable, or `path` is a folder.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "note.txt") as beside:
        ...     _ = beside.write_text("hello")
        >>> [entry.name for entry in folder.iterdir()]
        ['note.txt']
    """
    target = Path(path)
    if os.path.isdir(target):  # unlike Path.is_dir never raises
        raise CseError(f"{target}: cannot write: it is a folder, expected the name of a file")
    special = os.path.exists(target) and not os.path.isfile(target)
    if "\0" in str(path):
        raise CseError(f"{os.fspath(path)!r}: cannot write: the name has a zero character")
    if not special:
        target = Path(os.path.realpath(target))
    folder = Path(tempfile.gettempdir()) if special else target.parent
    if not os.path.isdir(folder):
        raise CseError(
            f"{path}: cannot write: the folder {folder} does not exist; create it or name another one"
        )
    beside = folder / f".cse-{secrets.token_hex(6)}{target.suffix}"
    try:
        # opened once before the work is done: a folder that cannot be written to is found out at once
        beside.touch(exist_ok=False)
    except OSError as error:
        raise CseError(
            f"{path}: cannot write: {error.strerror}; name a folder that you may write to"
        ) from error
    try:
        yield beside
        if special:
            with beside.open("rb") as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        else:
            os.replace(beside, target)
    except OSError as error:
        raise CseError(f"{path}: cannot write: {error.strerror or one_line(error)}") from error
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file (UTF-8, line ends as they are in `text`), complete or not at all.

    Raises:
        CseError: the folder is missing or not writable, or `path` is a folder.
    """
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="")


def replace_folder(made: Path, target: Path) -> None:
    """Move a finished folder to where another one may be; that one goes last, or comes back.

    Args:
        made: Beside `target`, in one file system with it.
        target: Where to; what is there is lost, so look first.

    Raises:
        OSError: One of them cannot be moved; `target` is as it was.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("new", "old"):
        ...     (folder / name).mkdir()
        ...     _ = (folder / name / "note.txt").write_text(name)
        >>> replace_folder(folder / "new", folder / "old")
        >>> [(path.relative_to(folder).as_posix(), path.read_text()) for path in folder.rglob("*.txt")]
        [('old/note.txt', 'new')]
    """
    aside = target.parent / f".cse-{secrets.token_hex(6)}-old"
    if target.exists():
        os.rename(target, aside)
    try:
        os.rename(made, target)
    except OSError:
        if aside.exists():
            os.rename(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
