"""One recording of many, in a worker: extract, write, and leave a note that it is done."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cse.chat import Context, read_context
from cse.checkpoint import stated_sha256
from cse.cli.batch_items import BatchItem
from cse.cli.results import json_line, save_voice
from cse.errors import CseError, MissingCueError, one_line
from cse.extractor import Extractor, OnAbsent
from cse.files import write_text

NOTES = ".done"  # subfolder with a note for every recording that is done


@dataclass(frozen=True)
class Failed:
    """A recording that came to nothing.

    Attributes:
        name: Of the recording.
        message: What was wrong, in one line.
        exit_code: Which the command would have for this recording alone.
        trace: Where it happened, for a bug.
    """

    name: str
    message: str
    exit_code: int
    trace: str | None = None


class ExtractOne:
    """Extracts from one recording after the other; the model is loaded with the first one, in the worker.

    Args:
        load: Builds the extractor.
        options: What else the results depend on, by name, as JSON can hold it.
        target: Who is speaking, as named in the histories.
        on_absent: See `Extractor.extract`.
    """

    def __init__(
        self,
        *,
        load: Callable[[], Extractor],
        options: Mapping[str, Any],
        target: str | None = None,
        on_absent: OnAbsent = "error",
    ) -> None:
        self._load = load
        self._options = {**options, "target": target, "on_absent": on_absent}
        self._target = target
        self._on_absent = on_absent
        self._extractor: Extractor | None = None

    def __call__(self, item: BatchItem) -> dict[str, Any] | Failed:
        """The result as `cse extract --json` prints it; an error of one recording does not stop the others.

        Raises:
            CseError: The model cannot be loaded.
        """
        if self._extractor is None:
            self._extractor = self._load()
        try:
            key = self._key(item)
            context = _context(item)
            result = self._extractor.extract(
                item.audio,
                None if context is None else context.turns,
                enrollment=item.enrollment,
                target=self._target or (None if context is None else context.target),
                on_absent=self._on_absent,
            )
            save_voice(result, item.output)
            answer = result.to_dict(str(item.output))
            write_text(_note(item), json_line({"key": key, "result": answer}) + "\n")
        except CseError as error:
            return Failed(item.name, one_line(error), error.exit_code)
        except Exception as error:
            return Failed(item.name, f"{type(error).__name__}: {one_line(error)}", 1, traceback.format_exc())
        return answer

    def finished(self, item: BatchItem) -> dict[str, Any] | None:
        """The result of an earlier run, if it was made from the same recording, cues and options."""
        try:
            note = json.loads(_note(item).read_text(encoding="utf-8"))
            same = item.output.is_file() and note["key"] == self._key(item)
            return {**note["result"], "output": str(item.output)} if same else None
        except (OSError, ValueError, KeyError, TypeError, CseError):
            return None

    def _key(self, item: BatchItem) -> str:
        """All that the result depends on, as one number."""
        history: Any = item.history
        if isinstance(history, Path):
            history = _version(history)
        elif history is not None:
            history = [(turn.speaker, turn.text) for turn in history]
        content = [
            _version(item.audio),
            history,
            item.enrollment and _version(item.enrollment),
            item.chat,
            self._options,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_extractor": None}


def model_version(name_or_path: str | None) -> Any:
    """What tells a model from another one that was at the same place before."""
    if name_or_path is None:
        return None
    if digest := stated_sha256(name_or_path):
        return digest
    config = Path(name_or_path) / "config.json"
    return next((_version(path) for path in (config, Path(name_or_path)) if path.is_file()), name_or_path)


def _version(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:  # the extraction says what is wrong with it
        return (path.name, 0, 0)
    return (path.name, stat.st_size, stat.st_mtime_ns)


def _context(item: BatchItem) -> Context | None:
    if item.history is None and item.enrollment is None:
        raise MissingCueError(
            f"got neither a history nor an enrollment, expected {item.audio.with_suffix('.txt').name} or "
            f"{item.audio.with_suffix('.json').name} beside it, or --history or --enrollment for all"
        )
    if isinstance(item.history, Path):
        return read_context(item.history, audio=item.audio.name, chat=item.chat)
    return None if item.history is None else Context(list(item.history))


def _note(item: BatchItem) -> Path:
    return item.output.parent / NOTES / f"{item.output.stem}.json"
