"""Which dialogues, talks or recordings a corpus trains on, validates on and is tested on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cse.errors import ManifestError


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The names of the dev and test groups (dialogues, talks); every other group is for training.

    Raises:
        ManifestError: A group is in both.

    >>> splits = Splits(dev=frozenset({"7"}), test=frozenset({"32", "44"}))
    >>> [splits.of(dialogue) for dialogue in ("32", "7", "8")]
    ['test', 'dev', 'train']
    """

    dev: frozenset[str]
    test: frozenset[str]

    def __post_init__(self) -> None:
        both = sorted(self.dev & self.test)
        if both:
            raise ManifestError(
                f"{len(both)} group(s), {both[0]!r} first, are in dev and in test, expected one split each; take "
                "them out of one list"
            )

    def of(self, group: str) -> str:
        """`train`, `dev` or `test`."""
        if group in self.test:
            return "test"
        return "dev" if group in self.dev else "train"


def draw(groups: Iterable[str], *, count: int, seed: int) -> frozenset[str]:
    """Draw `count` groups by a hash of seed and name.

    Neither the order of the groups matters nor, mostly, which others there are: a group that is added later can push
    out one of those drawn, and changes nothing else.

    Raises:
        ManifestError: Fewer groups than that.

    >>> sorted(draw(["a", "b", "c", "d"], count=2, seed=0)) == sorted(draw(["d", "c", "b", "a"], count=2, seed=0))
    True
    """
    ordered = sorted(
        set(groups), key=lambda group: (hashlib.sha256(f"{seed} {group}".encode()).digest(), group)
    )
    if len(ordered) < count:
        raise ManifestError(
            f"got {len(ordered)} groups to draw {count} from, expected as many; lower the number"
        )
    return frozenset(ordered[:count])


def read_names(path: str | os.PathLike[str]) -> list[str]:
    """Read a list of names, one a line; blank lines are skipped.

    Raises:
        ManifestError: No such file, no text, no name, or one of them twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ManifestError(f"{path}: cannot read: {reason}; expected a list of names, one a line") from error
    names: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if name and names.setdefault(name, number) != number:
            raise ManifestError(f"{path}:{number}: got {name!r} a second time (first in line {names[name]})")
    if not names:
        raise ManifestError(f"{path}: is empty, expected a list of names, one a line")
    return list(names)
