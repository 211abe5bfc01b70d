"""Manifests: JSON Lines in which one line describes one utterance or one mixture.

Paths in a manifest are relative to its folder (absolute ones are read too) and become absolute when read;
they are written relative again. Keys that are not part of the contract are kept in `extra` and written back;
one that looks like a slip of a key that is missing (`histroy`) is an error.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cse import manifest_fields as fields
from cse.errors import HistoryError, ManifestError
from cse.files import atomic_write
from cse.history import Turn
from cse.manifest_fields import Kinds, json_type
from cse.manifest_turns import SharedTurns


@dataclass(frozen=True)
class Utterance:
    """One recorded utterance of one speaker, and the turns that were said before it."""

    id: str
    audio: Path
    speaker: str
    duration_s: float
    sample_rate: int
    text: str | None = None
    dialogue: str | None = None
    history: tuple[Turn, ...] = ()
    split: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mixture:
    """Several talkers at once; `target` continues `history`, or is None where nobody does (target absent).

    `interferer_texts` has one entry per interferer where texts are known; `snr_db` the level of the target
    over each.
    """

    id: str
    mixture: Path
    target: Path | None
    sample_rate: int
    duration_s: float
    interferers: tuple[Path, ...] = ()
    noise: Path | None = None
    history: tuple[Turn, ...] = ()
    target_speaker: str | None = None
    target_text: str | None = None
    interferer_texts: tuple[str | None, ...] = ()
    enrollment: Path | None = None
    snr_db: tuple[float, ...] = ()
    rt60_s: float | None = None
    seed: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


Record = TypeVar("Record", Utterance, Mixture)


def read_utterances(path: str | os.PathLike[str], *, split: str | None = None) -> list[Utterance]:
    """Read and check an `utterances.jsonl`.

    Args:
        path: the manifest.
        split: keep the utterances of this split only; the files of the others are not looked for.

    Raises:
        ManifestError: anything wrong, an audio file that is missing, or no utterance in `split`. One pass
            finds all.
    """
    return _read(Path(path), Utterance, fields.UTTERANCE, fields.REQUIRED_UTTERANCE, split)


def read_mixtures(path: str | os.PathLike[str]) -> list[Mixture]:
    """Read and check a `mixtures.jsonl`.

    Raises:
        ManifestError: anything wrong, or an audio file that is missing. One pass finds all.
    """
    return _read(Path(path), Mixture, fields.MIXTURE, fields.REQUIRED_MIXTURE, None)


def write_manifest(path: str | os.PathLike[str], records: Iterable[Utterance | Mixture]) -> None:
    """Write records as JSON Lines, complete or not at all; paths become relative to the manifest's folder.

    Raises:
        ManifestError: two records of one id, or a value that JSON cannot hold (NaN).
        CseError: the folder is missing or not writable.
    """
    with atomic_write(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        folders = _Folders(os.path.realpath(Path(path).parent))
        ids: set[str] = set()
        for number, record in enumerate(records, start=1):
            if record.id in ids:
                raise ManifestError(
                    f"{path}:{number}:id: a second record with the id {record.id}; ids must differ"
                )
            ids.add(record.id)
            try:
                line = json.dumps(_to_json(record, folders), ensure_ascii=False, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise ManifestError(f"{path}:{number}: cannot write {record.id}: {error}") from error
            file.write(line + "\n")


# ---- reading


def _read(
    path: Path, build: Callable[..., Record], kinds: Kinds, required: Sequence[str], split: str | None
) -> list[Record]:
    files = _Files(os.path.realpath(path.parent))
    checks: Kinds = {**kinds, "history": SharedTurns()}
    records: list[Record] = []
    problems: list[str] = []
    ids: dict[str, int] = {}
    splits: set[str] = set()
    lines = 0
    for number, line in _lines(path):
        lines += 1
        try:
            content = _object(line)
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        record, wrong = _check(content, checks, required)
        identity = record.get("id")
        if identity is not None and ids.setdefault(identity, number) != number:
            wrong.append(f"id: got {identity} a second time (first in line {ids[identity]}); ids must differ")
        splits.add(str(record.get("split")))
        if split is None or record.get("split") == split:
            wrong.extend(files.locate(record, kinds))
            if not wrong:
                records.append(build(**record))
        problems.extend(f"{path}:{number}:{problem}" for problem in wrong)
    if not lines:
        problems.append(f"{path}: no records; expected one JSON object a line")
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise ManifestError(problems[0] + more, problems)
    if not records:
        raise ManifestError(
            f"{path}: no record of split {split!r}; expected one of: {', '.join(sorted(splits))}"
        )
    return records


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if os.path.isdir(path):
        raise ManifestError(f"{path}: is a folder, expected a manifest (JSON Lines)")
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file; expected a manifest (JSON Lines)") from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot read: {error.strerror}") from error


def _object(line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line.decode("utf-8").rstrip())
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON at column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"got bytes that are no UTF-8 at column {error.start + 1}") from None
    except (RecursionError, ValueError):
        raise ValueError("JSON that is nested too deeply, or has a number that is too long") from None
    if not isinstance(content, dict):
        raise ValueError(f"got {json_type(content)}, expected one JSON object a line")
    return content


def _check(
    content: dict[str, Any], kinds: Kinds, required: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Values by field, those outside the contract under `extra`; and what is wrong, as `field: …`."""
    record: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    wrong: list[str] = []
    for key, value in content.items():
        kind = kinds.get(key)
        if kind is None:
            extra[sys.intern(key)] = value
            continue
        try:
            record[key] = kind(value)
        except (ValueError, HistoryError) as error:
            wrong.append(f"{key}: {error}")
    known = tuple(kinds)
    for key in extra:
        near = fields.near_key(key, known)
        if near is not None and near not in content:
            wrong.append(f"{key}: unknown key, and {near} is missing; is it {near}?")
    wrong.extend(
        f"{key}: missing; {fields.MISSING.get(key, 'this key is required')}"
        for key in required
        if key not in content
    )
    record["extra"] = extra
    return record, wrong


class _Files:
    """Makes paths absolute and looks for each file once, however many records name it."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._known: dict[str, tuple[Path, str | None]] = {}

    def locate(self, record: dict[str, Any], kinds: Kinds) -> list[str]:
        """Replace the paths in a record by absolute ones; returns what is wrong, as `field: …`."""
        wrong: list[str] = []
        for key, value in record.items():
            kind = kinds.get(key)
            if kind is fields.paths:
                record[key] = tuple(self._locate(path, key, wrong) for path in value)
            elif value is not None and (kind is fields.path or kind is fields.path_or_null):
                record[key] = self._locate(value, key, wrong)
        return wrong

    def _locate(self, written: str, key: str, wrong: list[str]) -> Path:
        known = self._known.get(written)
        if known is None:
            path = Path(os.path.normpath(os.path.join(self._base, written)))
            known = self._known[written] = path, _file_problem(path)
        if known[1] is not None:
            wrong.append(f"{key}: {known[1]}")
        return known[0]


def _file_problem(path: Path) -> str | None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return f"no file {path}"
        return f"cannot read {path}: {error.strerror}"
    if not stat.S_ISREG(mode):
        return f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}, expected an audio file"
    return None


# ---- writing


class _Folders:
    """Writes paths relative to one folder; remembers per folder of a file, because there are few of them."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._relative: dict[str, str] = {}

    def relative(self, path: Path) -> str:
        folder, name = os.path.split(os.path.abspath(path))
        if folder not in self._relative:
            self._relative[folder] = os.path.relpath(os.path.realpath(folder), self._base)
        return os.path.normpath(os.path.join(self._relative[folder], name)).replace(os.sep, "/")


def _to_json(record: Utterance | Mixture, folders: _Folders) -> dict[str, Any]:
    kinds = fields.UTTERANCE if isinstance(record, Utterance) else fields.MIXTURE
    line: dict[str, Any] = {}
    for key, kind in kinds.items():
        value = getattr(record, key)
        if kind is fields.history:
            value = [_turn_to_json(turn) for turn in value]
        elif kind is fields.paths:
            value = [folders.relative(path) for path in value]
        elif value is not None and (kind is fields.path or kind is fields.path_or_null):
            value = folders.relative(value)
        line[key] = value
    line.update((key, value) for key, value in record.extra.items() if key not in line)
    return line


def _turn_to_json(turn: Turn) -> dict[str, str | None]:
    line = {"speaker": turn.speaker, "text": turn.text}
    return line if turn.time is None else {**line, "time": turn.time}
