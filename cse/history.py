"""The text of the conversation so far: turns, how Python callers pass them, and how they become the context of a model.

A history is a list of `Turn`, oldest first. Consecutive turns of one speaker stay separate turns. Files and texts
(plain text, JSON, chat exports) are read by `cse.chat`.

Errors name the turn, and never quote what people wrote.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cse.errors import HistoryError

MAX_TURNS = 200_000

# roles of OpenAI-style messages that nobody in the conversation said
_UNSPOKEN_ROLES = frozenset({"system", "developer", "tool", "function"})


@dataclass(frozen=True, slots=True)
class Turn:
    """What one person said in one go; `speaker` is any stable name, `time` is kept as it was written."""

    text: str
    speaker: str | None = None
    time: str | None = None


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
            "text goes through cse.chat.parse_history"
        )
    turns: list[Turn] = []
    for number, item in enumerate(history, start=1):
        if number > MAX_TURNS:
            raise _too_many()
        turn = read_turn(item, number)
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


def read_turn(item: object, number: int) -> Turn | None:
    """One item of a history as a turn; None if it has no words or nobody spoke them.

    Args:
        item: A turn, a mapping as in JSON (`{"speaker", "text"}`, `{"role", "content"}`), or words.
        number: Of the item, for the error.

    Raises:
        HistoryError: It is of another type or form.
    """
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
