"""What every engine does: work on items one by one, somewhere, and hand the results over in order."""

from __future__ import annotations

import pickle
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from cse.errors import CseError, one_line

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES = 3  # of an item whose worker dies: a machine may be short of memory for a moment, but not three times
WAITING_PER_WORKER = 4  # items started or finished before their turn; more would only fill the memory


class WorkerDiedError(CseError):
    """The processes that worked on an item died, each time that it was tried."""


class Engine(ABC):
    """Applies a function to many items, each independent of the others."""

    @abstractmethod
    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, name: Callable[[Item], str]
    ) -> Iterator[Result]:
        """Give the results in the order of `items`, as they are asked for; few items are started ahead of that.

        Closing the iterator, or an error, ends the work and leaves no process behind.

        Args:
            function: Takes one item. Can be pickled; each worker gets it once and keeps it, so that an object with
                `__call__` may hold on to what it loaded.
            items: Drawn from as workers become free. Can be pickled.
            name: What an item is called in errors.

        Raises:
            CseError: An item's own one, of the same class, with the item's name in front.
            WorkerDiedError: The processes that worked on an item died, each time that it was tried.
        """


@dataclass(frozen=True)
class Failure:
    """What comes back from a worker in place of a result.

    Attributes:
        error: What the function raised.
        trace: Where, as text.
    """

    error: Exception
    trace: str


def attempt(function: Callable[[Item], Result], item: Item) -> Result | Failure:
    """Work on an item in a worker; an error comes back in a form that can be read in every process.

    >>> attempt(len, "word")
    4
    >>> attempt(len, 4).error
    TypeError("object of type 'int' has no len()")
    """
    try:
        return function(item)
    except Exception as error:
        trace = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # classes of other packages; unread, it would look as if the worker had died
            return Failure(RuntimeError(f"{type(error).__name__}: {one_line(error)}"), trace)
        return Failure(error, trace)


def result_of(outcome: Result | Failure, name: str) -> Result:
    """The result of an item, or its error with its name."""
    if not isinstance(outcome, Failure):
        return outcome
    if not isinstance(outcome.error, CseError):
        outcome.error.add_note(outcome.trace)
    raise named(outcome.error, name)


def named(error: Exception, name: str) -> Exception:
    """The same error, with an item's name in front of its message; in a note, where it is none of ours.

    >>> named(CseError("got silence"), "note.wav")
    CseError('note.wav: got silence')
    """
    if isinstance(error, CseError):
        error.args = (f"{name}: {error}", *error.args[1:])
    else:
        error.add_note(f"while working on {name}")
    return error


def died(name: str) -> WorkerDiedError:
    """The error of an item whose worker died at every try."""
    return WorkerDiedError(
        f"{name}: the process that worked on it died {TRIES} times, expected it to finish; it may need more memory: "
        "take fewer workers; the engine serial shows what happens"
    )
