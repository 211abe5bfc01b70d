"""What a user of `cse` can get wrong, as exceptions whose message is one line: got, expected, remedy.

The command line prints that line and leaves with the class's `exit_code`; anything that is no `CseError` is a
bug.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class CseError(Exception):
    """Base of every error that input, options or files of a user can cause."""

    exit_code: ClassVar[int] = 2


class InvalidAudioError(CseError):
    """The audio cannot be used: missing, undecodable, silent, too short, too long, wrong in shape."""


class AudioTooLongError(InvalidAudioError):
    """The audio is longer than allowed."""


class HistoryError(CseError):
    """The text of the conversation cannot be used. The message never quotes what people wrote."""


class ManifestError(CseError):
    """A manifest (JSON Lines) is wrong; `problems` lists everything found, one `file:line:field: …` each."""

    problems: tuple[str, ...]

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.problems)


class CheckpointError(CseError):
    """A model cannot be loaded or saved: unknown name, wrong or truncated file, weights that do not fit."""


class VoiceBookError(CseError):
    """A file of stored voices cannot be read, or is none. It is never overwritten."""


class MissingCueError(CseError):
    """The model needs a cue (history, enrollment) that was not given."""


class ConfigError(CseError):
    """A wrong option, or a wrong Hydra override."""


class TargetAbsentError(CseError):
    """Nobody in the recording continues the history, and the caller asked for an error in that case."""

    exit_code: ClassVar[int] = 3


class CancelledError(CseError):
    """The caller's `should_stop` asked for the work to end."""


class MissingExtraError(CseError):
    """A feature needs a package that only an optional extra installs.

    Example:
        >>> print(MissingExtraError(feature="transcription", extra="offline", package="pocketsphinx"))
        transcription needs the package pocketsphinx, which is not installed; type: pip install "cse[offline]"
    """

    def __init__(self, *, feature: str, extra: str, package: str) -> None:
        super().__init__(
            f'{feature} needs the package {package}, which is not installed; type: pip install "cse[{extra}]"'
        )
        self.feature = feature
        self.extra = extra
        self.package = package

    def __reduce__(self) -> tuple[Any, ...]:
        return _missing_extra, (self.feature, self.extra, self.package)


def _missing_extra(feature: str, extra: str, package: str) -> MissingExtraError:
    """Rebuild the error in the process that receives it: pickle cannot pass keyword-only arguments."""
    return MissingExtraError(feature=feature, extra=extra, package=package)


def one_line(error: BaseException) -> str:
    """Say what an exception says on one line, never empty: for stderr, logs and JSON answers.

    Example:
        >>> one_line(HistoryError("chat.txt: line 3:\\n  not text"))
        'chat.txt: line 3: not text'
        >>> one_line(KeyboardInterrupt())
        'KeyboardInterrupt'
    """
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return " ".join(text.split()) or type(error).__name__


def some(names: Sequence[str]) -> str:
    """The first three of many names, and how many more there are: for messages on one line.

    Example:
        >>> some(["a", "b", "c", "d"])
        'a, b, c and 1 more'
    """
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
