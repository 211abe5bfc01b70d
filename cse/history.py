"""The text of the conversation so far: turns, how they are read, and how they become the context of a model.

A history is a list of `Turn`, oldest first. Consecutive turns of one speaker stay separate turns.

Plain text has one turn a line, `Name: words` or only words. There are no continuation lines: a line without a
name is a turn of an unknown speaker. Blank lines are skipped, and so is a name without words. A colon makes a
name only where white space follows it (`12:30 meet` and `https://…` are words) and what precedes looks like a
name: at most four words and 40 characters, and either written like one (`Ana`, `Speaker 0`, `María del
Carmen`) or in front of at least two lines (`ana maria`, `0`). So `Here is the thing: …` is words, but a lone
`Remember: …` is taken for a name; JSON has no such doubt.

Errors name the line or the turn, and never quote what people wrote.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cse.errors import HistoryError

MAX_BYTES = 50 * 2**20
MAX_TURNS = 200_000

# roles of OpenAI-style messages that nobody in the conversation said
_UNSPOKEN_ROLES = frozenset({"system", "developer", "tool", "function"})
# where broken JSON is meant, and not "[12:30] words" or "{laughs}"
_LIKE_JSON = re.compile(r'\s*(\[\s*[\[{"\]]|\{\s*["}])')
# how audio begins: (offset, bytes)
_SIGNATURES = (
    (0, b"OggS"),
    (0, b"RIFF"),
    (0, b"fLaC"),
    (0, b"ID3"),
    (0, b"#!AMR"),
    (0, b"caff"),
    (4, b"ftyp"),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one person said in one go; `speaker` is any stable name, `time` is kept as it was written."""

    text: str
    speaker: str | None = None
    time: str | None = None


def parse_history(text: str | bytes) -> list[Turn]:
    """Read a conversation from text: JSON, or one turn a line; which of them is told from the content.

    JSON is a list of `{"speaker", "text"}` (`time` optional), of OpenAI-style `{"role", "content"}` or of
    strings, or an object with such a list under `messages` or `history`. Turns without words and roles that
    nobody speaks (`system`, `developer`, `tool`) are left out.

    Args:
        text: text, or its bytes in UTF-8 (UTF-16 where it starts with a byte order mark).

    Returns:
        The turns, oldest first; an empty list if there is nothing in the text.

    Raises:
        HistoryError: not text, broken JSON, JSON of another form, more than 50 MB or 200,000 turns.

    Example:
        >>> parse_history("Ana: Where shall we meet?\\nBen: At 12:30.")
        [Turn(text='Where shall we meet?', speaker='Ana', time=None),
         Turn(text='At 12:30.', speaker='Ben', time=None)]
    """
    if len(text) > MAX_BYTES:
        raise HistoryError(
            f"got {len(text) / 2**20:.0f} MB of history, expected at most {MAX_BYTES // 2**20} MB"
        )
    if isinstance(text, bytes):
        text = _decode(text)
    elif not isinstance(text, str):
        raise HistoryError(f"got {type(text).__name__}, expected the history as text")
    text = text.removeprefix("\ufeff")
    _reject_binary(text)
    for parser in _PARSERS:
        turns = parser(text)
        if turns is not None:
            return turns
    raise AssertionError("the last parser takes any text")


def read_history(source: str | os.PathLike[str]) -> list[Turn]:
    """Read a conversation from a file, or from standard input where `source` is `-`.

    Raises:
        HistoryError: no such file, a folder, or a content that `parse_history` refuses.
    """
    if source == "-":
        name, data = "standard input", sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        name, data = os.fspath(source), _read_bytes(Path(source))
    try:
        return parse_history(data)
    except HistoryError as error:
        raise HistoryError(f"{name}: {error}") from error


def check_history(history: Iterable[Turn | Mapping[str, Any] | str] | None) -> list[Turn]:
    """Bring what Python callers pass as a history into one form: a list of turns with words, oldest first.

    Args:
        history: turns, mappings as in JSON, or strings (words of an unknown speaker); `None` is no history.

    Raises:
        HistoryError: an item is of another type or form, or there are more than 200,000.

    Example:
        >>> check_history([{"role": "user", "content": "Hi"}, "Hello"])
        [Turn(text='Hi', speaker='user', time=None), Turn(text='Hello', speaker=None, time=None)]
    """
    if history is None:
        return []
    if isinstance(history, str | bytes | Mapping | Turn) or not isinstance(history, Iterable):
        raise HistoryError(
            f"got {type(history).__name__}, expected a list of turns; "
            "text goes through cse.history.parse_history"
        )
    turns: list[Turn] = []
    for number, item in enumerate(history, start=1):
        if number > MAX_TURNS:
            raise _too_many()
        turn = _turn(item, number)
        if turn is not None:
            turns.append(turn)
    return turns


def _too_many() -> HistoryError:
    return HistoryError(f"got more than {MAX_TURNS} turns, expected fewer; keep the last ones")


def render_context(
    turns: Sequence[Turn], *, max_turns: int | None = None, next_speaker: str | None = None
) -> str:
    """Write the last turns as the text that a language model reads: `Name: words`, one line a turn.

    White space inside a turn becomes one blank, so that nothing a person writes can look like another turn.

    Args:
        turns: oldest first.
        max_turns: how many of the last turns to keep; `None` keeps all, 0 none.
        next_speaker: whose empty line `Name:` ends the context.

    Example:
        >>> turns = [Turn("Hi", "Ana"), Turn("Where shall\\nwe meet?", "Ben")]
        >>> render_context(turns, max_turns=1, next_speaker="Ana")
        'Ben: Where shall we meet?\\nAna:'
    """
    if max_turns is not None and max_turns < 0:
        raise ValueError(f"got max_turns={max_turns}, expected 0 or more, or None for all turns")
    kept = turns if max_turns is None else turns[max(0, len(turns) - max_turns) :]
    lines = [
        _one_line(turn.text if turn.speaker is None else f"{turn.speaker}: {turn.text}") for turn in kept
    ]
    if next_speaker is not None:
        lines.append(f"{_one_line(next_speaker)}:")
    return "\n".join(lines)


def likely_next_speaker(history: Sequence[Turn]) -> str | None:
    """Guess who speaks next: whoever spoke last before the last speaker, or a lone speaker again.

    Example:
        >>> likely_next_speaker([Turn("Hi", "Ana"), Turn("Hi", "Ben"), Turn("Lunch?", "Ben")])
        'Ana'
    """
    speakers = [turn.speaker for turn in reversed(history) if turn.speaker is not None]
    return next(
        (speaker for speaker in speakers if speaker != speakers[0]), speakers[0] if speakers else None
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


# ---- from bytes to text


def _read_bytes(path: Path) -> bytes:
    if os.path.isdir(path):  # unlike Path.is_dir never raises
        raise HistoryError(f"{path}: is a folder, expected a text or JSON file with the conversation")
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise HistoryError(
            f"{path}: no such file; expected a text or JSON file with the conversation"
        ) from None
    except (OSError, ValueError) as error:
        raise HistoryError(f"{path}: cannot read: {getattr(error, 'strerror', None) or error}") from error


def _decode(data: bytes) -> str:
    for offset, signature in _SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            raise HistoryError(
                "this is audio or binary data, expected the text of the conversation; swapped files?"
            )
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise HistoryError(
            f"line {line}: got bytes that are no {encoding[:6].upper().rstrip('-')} text; save it as UTF-8"
        ) from None


def _reject_binary(text: str) -> None:
    position = text.find("\0")
    if position >= 0:
        line = text.count("\n", 0, position) + 1
        raise HistoryError(
            f"line {line}: got binary data (a zero byte), expected the text of the conversation"
        )


# ---- JSON


def _parse_json(text: str) -> list[Turn] | None:
    if text.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if _LIKE_JSON.match(text) is None:
            return None
        raise HistoryError(f"line {error.lineno}, column {error.colno}: broken JSON: {error.msg}") from None
    except (RecursionError, ValueError):
        raise HistoryError("line 1: JSON nested too deeply, or with a number that is too long") from None
    if isinstance(content, dict):
        lists = [content[key] for key in ("messages", "history") if isinstance(content.get(key), list)]
        if not lists:
            raise HistoryError('line 1: got a JSON object without a list under "messages" or "history"')
        content = lists[0]
    return check_history(content)


def _turn(item: object, number: int) -> Turn | None:
    """One item of a history as a turn; None if it has no words or nobody spoke them."""
    text, speaker, time = _fields(item, number)
    if not isinstance(text, str):
        raise HistoryError(f'turn {number}: "text" is {type(text).__name__}, expected a string')
    text = _clean(text)
    if not text:
        return None
    return Turn(text, _label(speaker, "speaker", number), _label(time, "time", number))


def _fields(item: object, number: int) -> tuple[object, object, object]:
    """Text, speaker and time of an item, not yet checked."""
    if isinstance(item, Turn):
        return item.text, item.speaker, item.time
    if isinstance(item, str):
        return item, None, None
    if not isinstance(item, dict | Mapping):  # dict first: the question to Mapping is slow
        raise HistoryError(
            f'turn {number}: got {type(item).__name__}, expected {{"speaker", "text"}} or a string'
        )
    if "text" in item:
        return item["text"], item.get("speaker"), item.get("time")
    if "content" in item:
        role = item.get("role")
        if isinstance(role, str) and role in _UNSPOKEN_ROLES:
            return "", None, None
        return _content(item["content"], number), item.get("name") or role, item.get("time")
    raise HistoryError(
        f'turn {number}: got an object without "text" or "content", expected {{"speaker", "text"}}'
    )


def _content(content: object, number: int) -> object:
    """OpenAI-style content: a string, null (a tool call), or parts of which those of type text count."""
    if content is None:
        return ""
    if not isinstance(content, list):
        return content
    if not all(isinstance(part, Mapping) for part in content):
        raise HistoryError(
            f'turn {number}: a part of "content" is no object, expected {{"type": "text", "text"}}'
        )
    words = [part["text"] for part in content if isinstance(part.get("text"), str)]
    return " ".join(words)


def _label(value: object, field: str, number: int) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return sys.intern(_clean(value)) or None  # a few names stand in front of many turns
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise HistoryError(f'turn {number}: "{field}" is {type(value).__name__}, expected a string or null')


def _clean(text: str) -> str:
    """Without white space at the ends, and with U+FFFD for halves of characters, which no tokenizer takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.strip()


# ---- plain text

# a full-width colon (Chinese, Japanese) ends a name without white space
_NAMED = re.compile(r"\s*([^\s:：][^:：]{0,39}?)\s*(?::(?=\s|$)|：)\s*(.*)")


def _parse_lines(text: str) -> list[Turn] | None:
    # not str.splitlines, which also splits at characters that people's messages hold (U+2028, U+0085)
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    if len(lines) > MAX_TURNS:
        raise _too_many()
    matches = [_NAMED.match(line) for line in lines]
    counts = Counter(match[1] for match in matches if match is not None)
    # "0: …", "1: …" are names where one of them comes back, and a numbered list where none does
    numbers = any(count > 1 for name, count in counts.items() if name.isdecimal())
    names = {name for name, count in counts.items() if _is_name(name, recurs=count > 1, numbers=numbers)}
    items: list[Turn] = []
    for line, match in zip(lines, matches, strict=True):
        if match is not None and match[1] in names:
            items.append(Turn(match[2], match[1]))
        else:
            items.append(Turn(line))
    return check_history(items)


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


# Asked in this order; each returns None for a text that is not of its form. Chat exports go before
# `_parse_lines`.
_PARSERS: tuple[Callable[[str], list[Turn] | None], ...] = (_parse_json, _parse_lines)
