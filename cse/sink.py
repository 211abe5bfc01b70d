"""A file for libsndfile to write into, whose errors are not lost on the way back through C."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO


class Sink:
    """Passes everything on until something fails; from then on it only seems to write.

    What is raised in a function that libsndfile calls is printed and forgotten, so it is kept for `check`.

    >>> import io
    >>> sink = Sink(io.BytesIO())
    >>> sink.write(b"RIFF"), sink.seek(0), sink.tell()
    (4, 0, 0)
    >>> sink.check()
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write, or seem to."""
        return self._unless_failed(lambda: self._stream.write(data), len(data))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go there; this may fail too, because what is still to be written is written before."""
        return self._unless_failed(lambda: self._stream.seek(offset, whence), 0)

    def tell(self) -> int:
        """Where it stands."""
        return self._unless_failed(self._stream.tell, 0)

    def check(self) -> None:
        """Raise what failed first, if anything did.

        Raises:
            OSError: A full disk, above all.
        """
        if self._error is not None:
            raise self._error

    def _unless_failed(self, action: Callable[[], int], instead: int) -> int:
        if self._error is None:
            try:
                return action()
            except OSError as error:
                self._error = error
        return instead
