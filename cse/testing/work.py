"""Work for trying out engines: it fails, dies or lingers when it is told to. Worker processes import it from here."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from cse.errors import ConfigError


def square(number: int) -> int:
    """Refuse a negative number with an error of ours; what is no number is a bug.

    >>> square(3)
    9
    """
    if number < 0:
        raise ConfigError(f"got {number}, expected 0 or more")
    return number * number


def square_later(number: int) -> int:
    """Take the longer the smaller the number is, so that a later item is finished first."""
    time.sleep(0.3 / (1 + number))
    return number * number


def square_or_die(number: int, *, deadly: int, folder: Path, deaths: int) -> int:
    """Kill the process on one number, so many times as `folder` remembers; that is how an out-of-memory kill looks."""
    if number == deadly:
        died = len(list(folder.glob("death*")))
        if died < deaths:
            (folder / f"death{died}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def linger(number: int, *, folder: Path, first: int | None = None) -> int:
    """Leave the process's id in `folder` and work for a minute; tidy up if there is a chance to.

    Only the number `first` is done at once.
    """
    if number == first:
        return number
    (folder / f"pid{os.getpid()}").touch()
    try:
        time.sleep(60)
    finally:
        (folder / f"tidied{os.getpid()}").touch()
    return number


def threads(number: int) -> int:
    """How many threads the process computes with."""
    import torch

    return torch.get_num_threads()


class Remembering:
    """Counts its own calls, as an object that loads a model once would."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, number: int) -> tuple[int, int]:
        """The process, and how many calls it has had."""
        self.calls += 1
        return os.getpid(), self.calls
