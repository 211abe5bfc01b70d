"""From the values of a config to the types of a signature."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from cse.errors import ConfigError


def type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Types of the arguments of a function, or of a class's constructor."""
    target = function.__init__ if inspect.isclass(function) else function
    if dataclasses.is_dataclass(function):
        target = function  # each of its bases is read with the names of its own module
    try:
        return typing.get_type_hints(target)
    except NameError:  # names that are imported for type checkers only
        return {}


def convert(value: Any, hint: Any, name: str) -> Any:
    """Bring a value into the type of an argument.

    Raises:
        ConfigError: It is of another type; the message names the option.

    >>> convert([1, 2], tuple[float, float], "size_m")
    (1.0, 2.0)
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(value, arguments, name)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(
                f"{name}: got {written(value)}, expected one of {', '.join(map(str, arguments))}"
            )
        return value
    if origin is tuple:
        return _convert_tuple(value, arguments, name)
    wanted = _EXPECTED.get(hint)
    if wanted is None:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str | Path) and str(value):
        return Path(value)
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)  # split=1
    if type(value) is not hint:
        raise ConfigError(f"{name}: got {written(value)}, expected {wanted}")
    return value


_EXPECTED = {
    int: "a whole number",
    float: "a number",
    str: "a word",
    bool: "true or false",
    Path: "a path",
}


def _convert_union(value: Any, hints: Sequence[Any], name: str) -> Any:
    if value is None and type(None) in hints:
        return None
    problems: list[str] = []
    for hint in hints:
        if hint is not type(None):
            try:
                return convert(value, hint, name)
            except ConfigError as error:
                problems.append(str(error).partition("expected ")[2])
    null = " or null" if type(None) in hints else ""
    raise ConfigError(f"{name}: got {written(value)}, expected {' or '.join(problems)}{null}")


def _convert_tuple(value: Any, hints: Sequence[Any], name: str) -> tuple[Any, ...]:
    endless = len(hints) == 2 and hints[1] is Ellipsis
    if not isinstance(value, list | tuple) or not (endless or len(value) == len(hints)):
        count = "" if endless else f" of {len(hints)}"
        raise ConfigError(f"{name}: got {written(value)}, expected a list{count}, e.g. {name}=[…]")
    each = [hints[0]] * len(value) if endless else hints
    return tuple(convert(item, hint, name) for item, hint in zip(value, each, strict=True))


def written(value: Any) -> str:
    """A value as one would type it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(written(item) for item in value)}]"
    return str(value)
