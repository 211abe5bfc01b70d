"""Mixtures of a published list: who talks over whom, and how loud, is read instead of drawn.

One mixture a line, as in the lists of Kim et al. (arXiv 2503.08798), in which file names stand for utterances:

    /32/0_1_d32.wav /1405/0_0_d1405.wav -3.9264                     target interferer snr
    /a/a-01.wav /b/b-07.wav /c/c-02.wav 0.3663 0.0188               target interferer interferer snr snr

An utterance's id is the stem of its file name. The ratios are those of target to interferer in dB.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cse.errors import ManifestError
from cse.manifest import Utterance
from simulate.casting import Casting
from simulate.plan import TALKERS, Plan, PlanConfig, mixture_id, stream, timing


@dataclass(frozen=True)
class ListedMixture:
    """A line of a list.

    Attributes:
        line: Its number in the file, from 1 on.
        talkers: Ids of utterances, the target's first.
        snr_db: How much stronger the target is than each interferer.
    """

    line: int
    talkers: tuple[str, ...]
    snr_db: tuple[float, ...]


def read_list(path: str | os.PathLike[str]) -> tuple[list[ListedMixture], list[str]]:
    """Read a list; empty lines are none.

    Returns:
        The lines that can be read, and what is wrong with the others, as `file:line: …`.

    Raises:
        ManifestError: No such file, or nothing in it.
    """
    mixtures: list[ListedMixture] = []
    problems: list[str] = []
    for number, text in _lines(Path(path)):
        try:
            mixtures.append(_mixture(number, text.split()))
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
    if not mixtures and not problems:
        raise ManifestError(f"{path}: no mixtures; expected lines of target, interferers and ratios in dB")
    return mixtures, problems


class MixtureList:
    """Plans the mixtures of a list; takes the place of a `simulate.plan.Planner`.

    Mixture `index` is that of line `index` + 1, so a line that is skipped changes no other mixture.

    Args:
        path: The list.
        utterances: A corpus, with those that the list names.
        config: Enrollments and timing are drawn by its options; who talks is in the list.
        skip_missing: Leave out lines with an utterance that the corpus lacks.

    Raises:
        ManifestError: A line that cannot be read, or an utterance that is missing. One pass finds all.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        utterances: Sequence[Utterance],
        config: PlanConfig,
        *,
        skip_missing: bool = False,
    ) -> None:
        self._utterances = utterances
        self._config = config
        self._casting = Casting(utterances, talkers=1, min_history_turns=0, cued=False)
        self._places = {utterance.id: place for place, utterance in enumerate(utterances)}
        mixtures, problems = read_list(path)
        self._mixtures = [mixture for mixture in mixtures if not _missing(mixture, self._places)]
        missing = [
            f"{path}:{mixture.line}: no utterance {', '.join(names)} in the manifest"
            for mixture in mixtures
            if not skip_missing and (names := _missing(mixture, self._places))
        ]
        if problems or missing:
            raise _refused(path, [*problems, *missing], hint=bool(missing))
        if not self._mixtures:
            raise ManifestError(
                f"{path}: the manifest has the utterances of none of its {len(mixtures)} lines; is it that of another"
                " corpus or split?"
            )
        if len(self._mixtures) < len(mixtures):
            warnings.warn(
                f"{path}: {len(mixtures) - len(self._mixtures)} of {len(mixtures)} mixtures left out, whose utterances"
                " are not in the manifest",
                UserWarning,
                stacklevel=2,
            )

    def __len__(self) -> int:
        """Number of mixtures: every line that is not skipped."""
        return len(self._mixtures)

    def plan(self, place: int) -> Plan:
        """The mixture of the list's line number `place` among those that are not skipped."""
        mixture, seed = self._mixtures[place], self._config.seed
        index = mixture.line - 1
        cast = [self._places[one] for one in mixture.talkers]
        asked = self._utterances[cast[0]]
        enrollment = self._casting.enrollment(cast[0], stream(seed, index, TALKERS))
        return Plan(
            index=index,
            id=mixture_id(index, asked),
            seed=seed,
            asked=asked,
            talkers=tuple(self._utterances[one] for one in cast),
            snr_db=mixture.snr_db,
            enrollment=None if enrollment is None else self._utterances[enrollment],
            timing=timing(self._config, index, len(cast)),
        )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ManifestError(f"{path}: cannot read: {error.strerror}; expected a list of mixtures") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: is no text (UTF-8), expected a list of mixtures") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line


def _mixture(number: int, columns: Sequence[str]) -> ListedMixture:
    talkers = len(columns) // 2 + 1
    if len(columns) not in (3, 5):
        raise ValueError(
            f"got {len(columns)} columns, expected 3 (target interferer snr) or 5 (target and two interferers, two"
            " ratios)"
        )
    ids = tuple(PurePosixPath(name).stem for name in columns[:talkers])
    if len(set(ids)) < len(ids):
        raise ValueError(f"got an utterance twice, {' '.join(ids)}, expected different ones")
    return ListedMixture(number, ids, tuple(_ratio(text) for text in columns[talkers:]))


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = math.nan
    if not abs(ratio) <= _LARGEST_RATIO_DB:
        raise ValueError(
            f"got {text!r} as a ratio, expected dB between -{_LARGEST_RATIO_DB} and {_LARGEST_RATIO_DB}"
        )
    return ratio


_LARGEST_RATIO_DB = 100  # beyond it 16 bit hold one of the two only


def _missing(mixture: ListedMixture, places: Mapping[str, int]) -> list[str]:
    return [talker for talker in mixture.talkers if talker not in places]


def _refused(path: str | os.PathLike[str], problems: Sequence[str], *, hint: bool) -> ManifestError:
    """An error with all problems, by line."""
    start = len(f"{path}:")
    problems = sorted(problems, key=lambda problem: int(problem[start:].partition(":")[0]))
    more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
    remedy = "; skip_missing=true leaves out lines with missing utterances" if hint else ""
    return ManifestError(problems[0] + more + remedy, problems)
