"""Text files inside a ZIP, as phones export chats: nothing is unpacked to disk, and nothing beyond the limits.

The names of members are only looked up, never used as paths. Refused are members that lead elsewhere (`../`, absolute
paths, links), encrypted ones, those that unpack to more than 4 GiB or to two hundred times their size, those packed
otherwise than phones do (of bzip2 and LZMA, `zipfile` unpacks more than it is asked for), and ZIPs with more than
200,000 members.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from typing import IO, BinaryIO, cast

from cse.chat import limits
from cse.chat.source import TextFile
from cse.errors import HistoryError

_END = b"PK\x05\x06"
_END64 = b"PK\x06\x06"
_END64_LOCATOR = b"PK\x06\x07"
_RECORD64_BYTES = 56
_MAX_DIRECTORY_BYTES = 64 * 2**20
_OTHER_PACKING = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "LZMA"}
_SMALL = 10 * 2**20  # ratios are not looked at below this
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a later version of the format
    RuntimeError,  # encrypted
    ValueError,
    struct.error,
)


def text_members(archive: TextFile) -> list[TextFile]:
    """The text and JSON files of a ZIP, in the order of their names.

    Raises:
        HistoryError: It is damaged, or something in it is refused.
    """
    with closing(archive.open()) as stream:
        _check_directory(stream)
        try:
            infos = zipfile.ZipFile(stream).infolist()
        except (*_BROKEN, OSError):
            raise HistoryError("got a damaged ZIP, expected a whole one; export the chat again") from None
    for info in infos:
        _check_name(info)
    wanted = [info for info in infos if info.filename.lower().endswith((".txt", ".json"))]
    for info in wanted:
        _check_size(info.file_size, info.compress_size, encrypted=bool(info.flag_bits & 1))
        _check_packing(info.compress_type)
    _check_size(sum(info.file_size for info in wanted), sum(info.compress_size for info in wanted))
    return [
        TextFile(archive.name, _opener(archive.open, info.filename), info.filename)
        for info in sorted(wanted, key=lambda info: info.filename)
        if not info.filename.startswith("__MACOSX/")
    ]


def _opener(open_archive: Callable[[], BinaryIO], member: str) -> Callable[[], BinaryIO]:
    def open_member() -> BinaryIO:
        stream = open_archive()
        try:
            return cast(BinaryIO, _Member(stream, zipfile.ZipFile(stream).open(member)))
        except (*_BROKEN, OSError, KeyError):
            stream.close()
            raise HistoryError(
                "line 1: got a damaged or encrypted member of the ZIP, expected a whole one"
            ) from None

    return open_member


class _Member(io.RawIOBase):
    """A member that is open, whose damage shows as OSError and whose end is at the size that it claims."""

    def __init__(self, archive: BinaryIO, member: IO[bytes]) -> None:
        self._archive = archive
        self._member = member

    def read(self, size: int = -1) -> bytes:
        try:
            return self._member.read(size)
        except _BROKEN:
            raise OSError("the ZIP is damaged") from None

    def close(self) -> None:
        self._member.close()
        self._archive.close()
        super().close()


def _check_directory(stream: BinaryIO) -> None:
    """Refuse a list of members that would fill the memory, before the list is read."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - 2**16 - 22))
    tail = stream.read()
    end = tail.rfind(_END)
    if end < 0 or end + 22 > len(tail):
        raise HistoryError("got a damaged ZIP, expected a whole one; export the chat again")
    members, bytes_ = struct.unpack_from("<HL", tail, end + 10)
    locator = end - 20
    if locator >= 0 and tail[locator : locator + 4] == _END64_LOCATOR:
        # some readers look where the locator points, and `zipfile` right before it: neither may find too many
        pointed_at = struct.unpack_from("<Q", tail, locator + 8)[0] % max(size, 1)
        for place in (pointed_at, max(0, size - len(tail) + locator - _RECORD64_BYTES)):
            stream.seek(place)
            record = stream.read(_RECORD64_BYTES)
            if len(record) < _RECORD64_BYTES:
                raise HistoryError("got a damaged ZIP, expected a whole one; export the chat again")
            if record.startswith(_END64):
                found = struct.unpack_from("<QQ", record, 32)
                members, bytes_ = max(members, found[0]), max(bytes_, found[1])
    if members > limits.MAX_MEMBERS or bytes_ > _MAX_DIRECTORY_BYTES:
        raise HistoryError(f"got a ZIP of {members} files, expected at most {limits.MAX_MEMBERS}")
    stream.seek(0)


def _check_name(info: zipfile.ZipInfo) -> None:
    parts = info.filename.replace("\\", "/").split("/")
    link = (info.external_attr >> 16) & 0o170000 == 0o120000
    if link or ".." in parts or parts[0] == "" or parts[0].endswith(":"):
        raise HistoryError(
            "got a ZIP with a path that leads out of it, expected plain files; export the chat again"
        )


def _check_packing(kind: int) -> None:
    if kind not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise HistoryError(
            f"got a ZIP packed by {_OTHER_PACKING.get(kind, 'an unknown method')}, expected deflate, as phones use; "
            "unpack it first"
        )


def _check_size(size: int, packed: int, *, encrypted: bool = False) -> None:
    if encrypted:
        raise HistoryError("got an encrypted ZIP, expected one without a password; unpack it first")
    if size > limits.MAX_FILE_BYTES or (size > _SMALL and size > limits.MAX_RATIO * packed):
        raise HistoryError(
            f"got a ZIP that unpacks to {size / 2**20:.0f} MB out of {packed / 2**20:.1f} MB, expected a chat; "
            "unpack it first if you trust it"
        )
