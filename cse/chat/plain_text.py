"""Plain text: one turn a line, `Name: words` or only words.

There are no continuation lines: a line without a name is a turn of an unknown speaker. Blank lines are skipped, and
so is a name without words. A colon makes a name only where white space follows it (`12:30 meet` and `https://…` are
words) and what precedes looks like a name: at most four words and 40 characters, and either written like one
(`Ana`, `Speaker 0`, `María del Carmen`) or in front of at least two lines (`ana maria`, `0`). So `Here is the
thing: …` is words, but a lone `Remember: …` is taken for a name; JSON has no such doubt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from cse.chat.message import ChatMessage
from cse.chat.source import TextFile

NAME = "text"
_MAX_NAMES = 100_000  # to count; a chat has fewer
# a full-width colon (Chinese, Japanese) ends a name without white space
_NAMED = re.compile(r"\s*+([^\s:：][^:：]{0,39}?)\s{0,8}(?::(?=\s|$)|：)\s*+(.*)", re.DOTALL)


def read(file: TextFile) -> Iterator[ChatMessage]:
    """The turns; the id of each is the number of its line.

    Raises:
        HistoryError: It is no text.
    """
    counts: Counter[str] = Counter()
    for _, line in _lines(file):
        match = _NAMED.match(line)
        if match is not None and (match[1] in counts or len(counts) < _MAX_NAMES):
            counts[match[1]] += 1
    # "0: …", "1: …" are names where one of them comes back, and a numbered list where none does
    numbers = any(count > 1 for name, count in counts.items() if name.isdecimal())
    names = {name for name, count in counts.items() if _is_name(name, recurs=count > 1, numbers=numbers)}
    for number, line in _lines(file):
        match = _NAMED.match(line)
        name, text = (match[1], match[2]) if match is not None and match[1] in names else (None, line)
        if text.strip():
            yield ChatMessage(name, name, text.strip(), id=str(number))


def is_turn(line: str) -> bool:
    """Whether a line has a name in front of its words, by what it looks like alone.

    >>> is_turn("Ana: Where?"), is_turn("WhatsApp chat with Ana:"), is_turn("by the station")
    (True, False, False)
    """
    match = _NAMED.match(line)
    return match is not None and bool(match[2].strip()) and _is_name(match[1], recurs=False, numbers=False)


def _lines(file: TextFile) -> Iterator[tuple[int, str]]:
    for number, line in file.lines():
        for part in line.split("\r"):
            if part.strip():
                yield number, part


def _is_name(name: str, *, recurs: bool, numbers: bool) -> bool:
    words = name.split()
    if name.isdecimal():
        return numbers
    if len(words) > 4 or not any(character.isalnum() for character in name):
        return False
    if recurs:
        return True
    if len(words) == 1:
        return name[0].isalpha() or name[0] in "~@+"
    # "Here is the thing: …" and "meet at 5: …" are words; "Speaker 0", "María del Carmen", "Ana 🌸" are names
    return not words[-1][0].islower() and (len(words) == 2 or not words[0][0].islower())
