"""A JSON object of hundreds of megabytes, one entry at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from cse.errors import ManifestError

_CHUNK = 2**22  # characters
_SPACE = re.compile(r"\s*")


def iterate_object(path: Path) -> Iterator[tuple[str, Any]]:
    """Give the entries of the object that a JSON file holds; only one of them is in memory at a time.

    Raises:
        ManifestError: No such file, no JSON object, or broken JSON.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "data.json"
    >>> _ = file.write_text('{"MUL1": {"log": []}, "MUL2": {"log": [1]}}')
    >>> list(iterate_object(file))
    [('MUL1', {'log': []}), ('MUL2', {'log': [1]})]
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _Scanner(file, path).entries()
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file, expected a JSON object") from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: got bytes that are no UTF-8 ({error.reason})") from error


class _Scanner:
    """Reads on whenever what it has does not hold the next value to its end."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._position = 0
        self._passed = 0  # characters that are no longer in memory

    def entries(self) -> Iterator[tuple[str, Any]]:
        self._expect("{")
        if self._peek() == "}":
            return
        while True:
            key = self._value()
            if not isinstance(key, str):
                raise self._broken("expected a name in quotes")
            self._expect(":")
            yield key, self._value()
            if self._peek() != ",":
                self._expect("}")
                return
            self._expect(",")

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                if not self._read_on():
                    raise self._broken(error.msg) from None
                continue
            # a number at the very end may go on
            if end == len(self._text) and self._read_on():
                continue
            self._position = end
            return value

    def _peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._read_on():
                return ""

    def _expect(self, character: str) -> None:
        got = self._peek()
        if got != character:
            raise self._broken(
                f"got {got!r}, expected {character!r}" if got else f"ends, expected {character!r}"
            )
        self._position += 1

    def _read_on(self) -> bool:
        """At least as much as is waiting, so that a long value is not tried more and more often."""
        self._passed += self._position
        waiting = self._text[self._position :]
        more = self._file.read(max(_CHUNK, len(waiting)))
        self._text, self._position = waiting + more, 0
        return bool(more)

    def _broken(self, reason: str) -> ManifestError:
        return ManifestError(
            f"{self._path}: broken JSON at character {self._passed + self._position + 1}: {reason}; is it complete?"
        )
