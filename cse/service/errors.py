"""What the service refuses, by codes that stay the same from version to version."""

from __future__ import annotations

from dataclasses import dataclass

from cse.errors import (
    AudioTooLongError,
    CancelledError,
    CseError,
    HistoryError,
    InvalidAudioError,
    MissingCueError,
    MissingExtraError,
    TargetAbsentError,
    one_line,
)

STATUS = {
    "invalid_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "upload_timeout": 408,
    "not_finished": 409,
    "body_too_large": 413,
    "audio_too_long": 413,
    "invalid_audio": 422,
    "invalid_history": 422,
    "missing_cue": 422,
    "target_absent": 422,
    "idempotency_key_reused": 422,
    "client_gone": 499,
    "internal": 500,
    "worker_died": 500,
    "unsupported_format": 501,
    "busy": 503,
    "shutting_down": 503,
    "time_limit": 504,
    "cancelled": 410,
}
"""HTTP status of every code."""

_CODES: tuple[tuple[type[CseError], str], ...] = (  # the first that fits
    (AudioTooLongError, "audio_too_long"),
    (InvalidAudioError, "invalid_audio"),
    (HistoryError, "invalid_history"),
    (MissingCueError, "missing_cue"),
    (TargetAbsentError, "target_absent"),
    (CancelledError, "cancelled"),
    (MissingExtraError, "unsupported_format"),
)


class ServiceError(CseError):
    """A request that cannot be answered as asked.

    Args:
        code: One of `STATUS`.
        message: One line: got, expected, remedy. Nothing of what people said or wrote.
        retry_after_s: When to try again.
    """

    def __init__(self, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUS[code]
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, kw_only=True)
class Failures:
    """What the client is told when a worker does not come to an end with a task.

    Attributes:
        too_slow: When it took too long and was stopped.
        crash: When the process crashed on it by itself: (code, message).
    """

    too_slow: str
    crash: tuple[str, str]


def code_of(error: Exception) -> str:
    """The code for what went wrong in a worker.

    >>> code_of(HistoryError("line 3: broken JSON"))
    'invalid_history'
    >>> code_of(ZeroDivisionError())
    'internal'
    """
    if isinstance(error, ServiceError):
        return error.code
    return next((code for kind, code in _CODES if isinstance(error, kind)), "internal")


def message_of(error: Exception) -> str:
    """What the client is told: the error's own line if it was made for users, else nothing of it.

    >>> message_of(KeyError("words of a chat"))
    'the service made a mistake; its log says where'
    """
    if isinstance(error, CseError):
        return one_line(error)
    return "the service made a mistake; its log says where"
