"""A file is there completely or not at all, whatever happens while it is written."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from cse.errors import CseError
from cse.files import atomic_write, write_text


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_file_appears_only_at_the_end(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.wav") as beside:
        beside.write_bytes(b"half")
        assert beside.parent == tmp_path
        assert beside.suffix == ".wav"
        assert not (tmp_path / "a.wav").exists()
    assert (tmp_path / "a.wav").read_bytes() == b"half"
    assert names(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt()])
def test_failure_leaves_the_old_content_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(type(error)), atomic_write(target) as beside:
        beside.write_text("new, but only ha")
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_failure_of_the_disk_is_an_error_of_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(CseError, match=r"a\.txt: cannot write: No space left"),
        atomic_write(tmp_path / "a.txt"),
    ):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []


def test_missing_folder_is_named_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(CseError, match=r"the folder .*absent does not exist; create it"):
        write_text(tmp_path / "absent" / "a.txt", "x")
    assert names(tmp_path) == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CseError, match="is a folder"):
        write_text(tmp_path, "x")


@pytest.mark.parametrize(
    ("name", "message"), [("x/y", "folder"), ("x" * 300, "long"), ("a\0b", "zero character")]
)
def test_impossible_names(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(CseError, match=message):
        write_text(tmp_path / name, "x")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CseError, match="may write to"):
        write_text(tmp_path / "a.txt", "x")


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "data" / "real.txt")
    write_text(tmp_path / "link.txt", "x")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "data" / "real.txt").read_text() == "x"


def test_a_pipe_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reader.start()
    write_text(pipe, "through the pipe")
    reader.join(timeout=10)
    assert got == ["through the pipe"]
    assert pipe.is_fifo()


def test_dev_null_survives() -> None:
    write_text(os.devnull, "x")
    assert Path(os.devnull).is_char_device()


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    write_text(tmp_path / "atomic", "x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_line_ends_are_kept(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "é\r\nb\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\r\nb\n"
