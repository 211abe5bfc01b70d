"""Work for trying out engines: it fails, dies or lingers when it is told to. Worker processes import it from here."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cse.audio import read_audio
from cse.engines.engine import Item, Result
from cse.errors import ConfigError
from cse.extraction import Extraction
from cse.history import Turn


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


def die(folder: Path, *, deaths: int) -> None:
    """Kill the process, so many times as `folder` remembers; that is how an out-of-memory kill looks."""
    died = len(list(folder.glob("death*")))
    if died < deaths:
        (folder / f"death{died}").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def square_or_die(number: int, *, deadly: int, folder: Path, deaths: int) -> int:
    """Die on one number."""
    if number == deadly:
        die(folder, deaths=deaths)
    return number * number


def do_or_die(
    item: Item, *, function: Callable[[Item], Result], deadly: Item, folder: Path, deaths: int
) -> Result:
    """Call a function; be killed in the middle of it on one item, or at its end at the latest."""
    if item == deadly and len(list(folder.glob("death*"))) < deaths:
        with tempfile.NamedTemporaryFile(prefix="death", dir=folder, delete=False):
            signal.setitimer(signal.ITIMER_REAL, 0.01)  # nobody handles its signal, which is deadly
        function(item)
        os.kill(os.getpid(), signal.SIGKILL)
    return function(item)


class PassingOn:
    """In place of an extractor: returns the recording itself, is loaded in no time, and may die on one recording.

    Args:
        deadly: Name of that file.
        folder: See `die`.
        deaths: See `die`.
    """

    def __init__(self, *, deadly: str, folder: Path, deaths: int) -> None:
        self._deadly = deadly
        self._folder = folder
        self._deaths = deaths

    def extract(self, audio: Path, history: Sequence[Turn] | None = None, **_: object) -> Extraction:
        """See `cse.extractor.Extractor.extract`."""
        if audio.name == self._deadly:
            die(self._folder, deaths=self._deaths)
        recording = read_audio(audio)
        return Extraction(
            waveform=recording.waveform,
            sample_rate=recording.sample_rate,
            probability=1.0,
            abstained=False,
            target_present=True,
            candidates=[],
            turn_attribution=None,
            context_turns=len(history or ()),
            duration_s=recording.duration_s,
            real_time_factor=0.0,
            model="passing on",
        )


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
