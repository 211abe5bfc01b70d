"""The fields of a manifest's lines: what each may hold, and which must be there; used by `cse.manifest`.

A kind of field is a function: it takes a value from JSON and returns the field's value, or raises
`ValueError` (or `HistoryError`) that says what it got and what it expected. `path` and its like return
strings, not yet resolved.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from cse.history import Turn, check_history

Kinds = Mapping[str, Callable[[Any], Any]]


def json_type(value: object) -> str:
    """Name the type of a value from JSON, for messages."""
    if value is None:
        return "null"
    names = {
        bool: "true or false",
        str: "a string",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names[type(value)]


def text(value: Any) -> str:
    """Take a string with something in it."""
    if not isinstance(value, str):
        raise ValueError(f"got {json_type(value)}, expected a string")
    if not value.strip():
        raise ValueError("got an empty string")
    return value


def words_or_null(value: Any) -> str | None:
    """Take a string, which may be empty, or null."""
    if value is not None and not isinstance(value, str):
        raise ValueError(f"got {json_type(value)}, expected a string or null")
    return value


def text_or_null(value: Any) -> str | None:
    """Take a string with something in it, or null."""
    return None if value is None else text(value)


def path(value: Any) -> str:
    """Take a path, as it stands in the line."""
    if "\0" in text(value):
        raise ValueError("got a path with a zero character")
    return str(value)


def path_or_null(value: Any) -> str | None:
    """Take a path or null."""
    return None if value is None else path(value)


def paths(value: Any) -> tuple[str, ...]:
    """Take a list of paths."""
    return tuple(path(item) for item in _list(value))


def texts(value: Any) -> tuple[str | None, ...]:
    """Take a list of strings and nulls."""
    return tuple(words_or_null(item) for item in _list(value))


def numbers(value: Any) -> tuple[float, ...]:
    """Take a list of finite numbers."""
    return tuple(number(item) for item in _list(value))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"got {json_type(value)}, expected a list")
    return value


def number(value: Any) -> float:
    """Take a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"got {json_type(value)}, expected a number")
    if not abs(value) <= sys.float_info.max:
        raise ValueError("got NaN, an infinite or a huge number, expected a finite one")
    return float(value)


def duration(value: Any) -> float:
    """Take seconds above 0."""
    if number(value) <= 0:
        raise ValueError(f"got {value}, expected seconds above 0")
    return float(value)


def time_or_null(value: Any) -> float | None:
    """Take seconds, 0 or more, or null."""
    if value is None:
        return None
    if number(value) < 0:
        raise ValueError(f"got {value}, expected seconds, 0 or more, or null")
    return float(value)


def integer(value: Any) -> int:
    """Take an integer; true, false and 1.0 are none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(
            f"got {value if isinstance(value, float) else json_type(value)}, expected an integer"
        )
    return value


def integer_or_null(value: Any) -> int | None:
    """Take an integer or null."""
    return None if value is None else integer(value)


def rate(value: Any) -> int:
    """Take a sample rate in Hz above 0."""
    if integer(value) <= 0:
        raise ValueError(f"got {value}, expected a sample rate in Hz above 0")
    return int(value)


def history(value: Any) -> tuple[Turn, ...]:
    """Take a list of turns; null is an empty one."""
    if value is not None and not isinstance(value, list):
        raise ValueError(f'got {json_type(value)}, expected a list of {{"speaker", "text"}}')
    return tuple(check_history(value))


# In the order of the keys of a written line.
UTTERANCE: Kinds = {
    "id": text,
    "audio": path,
    "speaker": text,
    "duration_s": duration,
    "sample_rate": rate,
    "text": words_or_null,
    "dialogue": text_or_null,
    "history": history,
    "split": text_or_null,
}
REQUIRED_UTTERANCE = ("id", "audio", "speaker", "duration_s", "sample_rate")
MIXTURE: Kinds = {
    "id": text,
    "mixture": path,
    "target": path_or_null,
    "interferers": paths,
    "noise": path_or_null,
    "sample_rate": rate,
    "duration_s": duration,
    "history": history,
    "target_speaker": text_or_null,
    "target_text": words_or_null,
    "interferer_texts": texts,
    "enrollment": path_or_null,
    "snr_db": numbers,
    "rt60_s": time_or_null,
    "seed": integer_or_null,
}
REQUIRED_MIXTURE = ("id", "mixture", "target", "sample_rate", "duration_s")
_NEAR = 0.85  # `dialog` and `histroy` are slips, `dialogue_id` is a key of its own
MISSING = {"target": "expected a path, or null where nobody continues the history"}


@lru_cache(maxsize=1024)
def near_key(key: str, known: tuple[str, ...]) -> str | None:
    """The key that another one was probably meant to be.

    >>> near_key("spekaer", tuple(UTTERANCE)), near_key("topic", tuple(UTTERANCE))
    ('speaker', None)
    """
    near = difflib.get_close_matches(key, known, n=1, cutoff=_NEAR)
    return near[0] if near else None
