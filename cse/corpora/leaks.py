"""Whether anything of one split is in another: dialogues, recordings, and speakers where there are enough."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from cse.errors import ManifestError
from cse.manifest import Utterance

Disjoint = Literal["speakers", "dialogues"]


def check_leaks(utterances: Sequence[Utterance], *, disjoint: Disjoint) -> None:
    """Refuse splits that share what they must not share.

    Args:
        utterances: Of all splits.
        disjoint: `dialogues`: no dialogue (talk) and no audio, under whatever name, is in two splits. `speakers`: and
            no speaker either.

    Raises:
        ManifestError: With one problem for each thing that leaks, or for an utterance without a split.
    """
    problems = list(find_leaks(utterances, disjoint=disjoint))
    if problems:
        more = f" (and {len(problems) - 1} more leaks)" if len(problems) > 1 else ""
        raise ManifestError(problems[0] + more, problems)


def find_leaks(utterances: Sequence[Utterance], *, disjoint: Disjoint) -> Iterator[str]:
    """Say what leaks, one thing after the other; see `check_leaks`."""
    lost = [utterance.id for utterance in utterances if utterance.split is None]
    if lost:
        yield f"split: {len(lost)} utterance(s), {lost[0]} first, have none, expected one for each"
    yield from _shared("dialogue", ((utterance.dialogue, utterance) for utterance in utterances))
    if disjoint == "speakers":
        yield from _shared("speaker", ((utterance.speaker, utterance) for utterance in utterances))
    files = [(utterance.audio, utterance) for utterance in utterances]
    yield from _shared("audio", ((os.path.realpath(path), utterance) for path, utterance in files))
    yield from _shared("audio of", _copies(files))


def _shared(what: str, owners: Iterable[tuple[Hashable, Utterance]]) -> Iterator[str]:
    """Things of which utterances in two splits are the owners; None is no thing."""
    first: dict[Hashable, dict[str | None, str]] = defaultdict(dict)
    for thing, utterance in owners:
        if thing is not None:
            first[thing].setdefault(utterance.split, utterance.id)
    for thing, splits in first.items():
        if len(splits) > 1:
            found = ", ".join(f"{split} ({identity})" for split, identity in splits.items())
            yield f"{what} {thing}: is in {found}, expected one split"


def _copies(files: Sequence[tuple[Path, Utterance]]) -> Iterator[tuple[Hashable, Utterance]]:
    """Utterances with a name of the content of their audio, where there may be a copy of it in another split.

    Only files of equal size and duration in several splits are read, and each once.
    """
    alike: dict[tuple[int, float], dict[str, Utterance]] = defaultdict(dict)
    for path, utterance in files:
        key = path.stat().st_size, utterance.duration_s
        alike[key].setdefault(os.path.realpath(path), utterance)
    for group in alike.values():
        if len({utterance.split for utterance in group.values()}) > 1:
            for real_path, utterance in group.items():
                yield f"sha256 {_digest(real_path)[:16]}", utterance


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
