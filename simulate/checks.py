"""Checks of options that several configs of simulation share; each raises a `ConfigError` with got and expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cse.errors import ConfigError


def check_one_of(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Refuse a value that is not in a list."""
    if value not in allowed:
        raise ConfigError(f"{name}: got {value}, expected {' or '.join(str(one) for one in allowed)}")


def check_least(name: str, value: float | None, least: float) -> None:
    """Refuse a number below `least`; None is none."""
    if value is not None and not value >= least:
        raise ConfigError(f"{name}: got {value}, expected {least} or more")


def check_share(name: str, value: float) -> None:
    """Refuse what is no share.

    >>> check_share("absent_probability", 1.5)
    Traceback (most recent call last):
    cse.errors.ConfigError: absent_probability: got 1.5, expected a share between 0 and 1
    """
    if not 0 <= value <= 1:
        raise ConfigError(f"{name}: got {value}, expected a share between 0 and 1")
