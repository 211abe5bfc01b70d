"""Reads JSON of any length piece by piece: only the message at hand is in memory.

`walk` looks into the containers that it is told of, and hands out the items of their lists, their strings and their
numbers; it passes over everything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Final

from cse.chat import limits
from cse.chat.text import CHUNK_BYTES, too_long
from cse.errors import HistoryError

Path = tuple[str, ...]  # keys from the top; "*" is any item of a list, or any key
Step = tuple[Path, str | None, object]  # where, the last key as written (None in a list), what

ITEM: Final = ("*",)  # path of the items of a list at the top, and of documents that follow one another
# stand for a container that is about to be looked into
ENTER_LIST: Final = object()
ENTER_OBJECT: Final = object()

_BLANKS = re.compile(r"[ \t\n\r]*")
_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
_DECODER = json.JSONDecoder()
# a value that was cut off inside a number, a literal or an escape fails this close to the end
_CUT = 16


class Cursor:
    """A place in a JSON text that comes in chunks."""

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks = chunks
        self._text = ""
        self._at = 0
        self._lines = 1  # the line in which `_text` begins
        self._columns = 0  # characters of that line before `_text`
        self._before = 0  # characters before `_text`
        self._started = 0  # where the last value began

    @property
    def line(self) -> int:
        """The line in which the last value began."""
        return self._lines + self._text.count("\n", 0, self._started)

    @property
    def read(self) -> int:
        """How many characters were read."""
        return self._before + self._at

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            match = _BLANKS.match(self._text, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill(CHUNK_BYTES):
                return ""

    def value(self) -> object:
        """Read one value as a whole.

        Raises:
            HistoryError: It is broken, too long, or nested too deeply.
        """
        self.peek()
        self._started = self._at
        wanted = CHUNK_BYTES
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos > len(self._text) - _CUT
                if cut and self._fill(wanted):
                    wanted *= 2
                    continue
                raise self._broken(error.msg, error.pos) from None
            except (RecursionError, ValueError):  # not JSONDecodeError: more digits than Python takes
                raise self._nested() from None
            if end == len(self._text) and value.__class__ in (int, float) and self._fill(1):
                continue  # "12" may go on as "123"
            self._check_nesting(end)
            self._at = end
            return value

    def elements(self) -> Iterator[None]:
        """Step into a list, and stop at each of its items, which the caller reads."""
        self._at += 1
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield
            if self._next("]"):
                return

    def members(self) -> Iterator[str]:
        """Step into an object, and stop at the value of each of its keys, which the caller reads."""
        self._at += 1
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                raise self._broken("Expecting property name enclosed in double quotes", self._at)
            key = self.value()
            if self.peek() != ":":
                raise self._broken("Expecting ':' delimiter", self._at)
            self._at += 1
            yield str(key)
            if self._next("}"):
                return

    def skip(self) -> None:
        """Pass over one value of any length."""
        depth = 0
        while True:
            character = self.peek()
            if character in ("[", "{"):
                depth += 1
                self._at += 1
            elif character in ("]", "}") and depth:
                depth -= 1
                self._at += 1
            elif character in (",", ":") and depth:
                self._at += 1
            else:
                self.value()
            if not depth:
                return
            if depth > limits.MAX_NESTING:
                raise self._nested()

    def refuse_rest(self) -> None:
        """Raise an error unless the text ends here."""
        if self.peek():
            raise self._broken("Extra data", self._at)

    def _next(self, closing: str) -> bool:
        """Step over a comma (False), or out of the container (True)."""
        character = self.peek()
        if character not in (",", closing) or not character:
            raise self._broken("Expecting ',' delimiter", self._at)
        self._at += 1
        return character == closing

    def _fill(self, wanted: int) -> bool:
        """Read on, at least so many characters; False if there are no more."""
        if len(self._text) - self._at > limits.MAX_MESSAGE_CHARACTERS:
            raise too_long(self._lines + self._text.count("\n", 0, self._at))
        parts, read = [], 0
        while read < wanted and (chunk := next(self._chunks, "")):
            parts.append(chunk)
            read += len(chunk)
        if not parts:
            return False  # and places in the text stay what they are
        used = self._text[: self._at]
        self._before += len(used)
        self._lines += used.count("\n")
        self._columns = len(used) - used.rfind("\n") - 1 if "\n" in used else self._columns + len(used)
        self._text = self._text[self._at :] + "".join(parts)
        self._started = max(0, self._started - self._at)
        self._at = 0
        return True

    def _check_nesting(self, end: int) -> None:
        brackets = self._text.count("[", self._at, end) + self._text.count("{", self._at, end)
        if brackets <= limits.MAX_NESTING:
            return
        depth = 0
        for match in _BRACKETS.finditer(self._text, self._at, end):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
            if depth > limits.MAX_NESTING:
                raise self._nested()

    def _nested(self) -> HistoryError:
        return HistoryError(f"line {self.line}: JSON nested too deeply, or with a number that is too long")

    def _broken(self, what: str, at: int) -> HistoryError:
        line = self._lines + self._text.count("\n", 0, at)
        newline = self._text.rfind("\n", 0, at)
        column = at - newline if newline >= 0 else self._columns + at + 1
        return HistoryError(f"line {line}, column {column}: broken JSON: {what}")


def walk(
    cursor: Cursor, containers: Collection[Path], *, lone: Collection[Path] = (), documents: bool = False
) -> Iterator[Step]:
    """Hand out what the containers hold, in the order of the text.

    Args:
        cursor: At the beginning of the text.
        containers: Paths of the lists and objects to look into.
        lone: Paths of further objects, each handed out whole, as if it were the one item of a list.
        documents: Take each value at the top for an item: JSON Lines, or a lone message.

    Raises:
        HistoryError: The JSON is broken.

    >>> text = '{"name": "Ana", "other": [1, {}], "messages": [{"id": 1}, {"id": 2}]}'
    >>> for path, key, value in walk(Cursor(iter([text])), {(), ("messages",)}):
    ...     if value is not ENTER_LIST and value is not ENTER_OBJECT:
    ...         print(path, key, value)
    ('name',) name Ana
    ('messages', '*') None {'id': 1}
    ('messages', '*') None {'id': 2}
    """
    if documents:
        while cursor.peek():
            yield ITEM, None, cursor.value()
        return
    yield from _walk(cursor, containers, lone, (), None)
    cursor.refuse_rest()


def _walk(
    cursor: Cursor, containers: Collection[Path], lone: Collection[Path], path: Path, key: str | None
) -> Iterator[Step]:
    character = cursor.peek()
    if path not in containers or character not in ("[", "{"):
        if character == "{" and path in lone:
            yield (*path, "*"), None, cursor.value()
        elif character in ("[", "{") and path[-1:] != ITEM:
            cursor.skip()
        else:
            yield path, key, cursor.value()
        return
    yield path, key, ENTER_OBJECT if character == "{" else ENTER_LIST
    child = (*path, "*")
    if character == "{":
        for name in cursor.members():
            exact = (*path, name)
            wild = exact not in containers and child in containers
            yield from _walk(cursor, containers, lone, child if wild else exact, name)
    elif child in containers:
        for _ in cursor.elements():
            yield from _walk(cursor, containers, lone, child, None)
    else:
        for _ in cursor.elements():
            yield child, None, cursor.value()
