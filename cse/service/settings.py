"""What a service may take and do: every limit, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from cse.errors import ConfigError

MB = 2**20
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")

_MAY_BE_ZERO = frozenset({"threads", "max_waiting", "stop_grace_s", "max_streams", "shutdown_limit_s"})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits of one service process, which shares nothing with others.

    Attributes:
        workers: Requests that are worked on at once; each has a process that decodes and one that extracts.
        threads: Arithmetic threads of one extraction; 0 shares the cores of the machine among the workers.
        max_waiting: Requests and jobs that wait for a worker; one more is turned away (503).
        wait_limit_s: How long a request may wait for a worker before it is turned away (503); jobs wait on.
        time_limit_s: How long the work on a request may take; then it is stopped (504).
        read_limit_s: How much processor time reading a conversation may take; then it is stopped (504).
        stop_grace_s: How long a worker that was told to stop may take to do so before it is killed.
        max_body_mb: The longest request body (413).
        memory_mb: Bodies and results that are held at once, of all requests and jobs (503).
        upload_limit_s: How long a client may take to send a body (408), and before it the headers.
        max_duration_s: The longest recording, measured while it is being decoded (413).
        max_enrollment_s: The longest enrollment (413).
        reading_memory_mb: What decoding may take in memory, beyond the empty process.
        job_ttl_s: How long the result of a job is kept.
        max_jobs: Jobs that are kept at once, finished ones included (503).
        max_streams: WebSockets that are worked on at once, all by one process, which there is only if this is not 0;
            one more is turned away (503).
        max_stream_s: The longest stream, by its samples (413) and by the clock (408).
        stream_idle_s: How long the client of a stream may send nothing (408), or read nothing.
        max_message_mb: The longest message on a WebSocket (close code 1009).
        shutdown_limit_s: How long what runs may go on after SIGTERM.
        api_keys: Of which a request must show one; empty lets everyone in.
        allowed_hosts: Values of the header Host that are let in where there are no keys: without this check any web
            page could reach a service on the loopback address under a name of its own. Empty allows all.

    Raises:
        ConfigError: A limit is not above 0 (a few may be 0) or not finite, or an API key is shorter than 16 characters.

    >>> Settings(workers=2).max_waiting
    16
    """

    workers: int = 1
    threads: int = 0
    max_waiting: int = 16
    wait_limit_s: float = 60.0
    time_limit_s: float = 300.0
    read_limit_s: float = 20.0  # 25 MB take 4 to 7 s, and of messages of one letter 26 s
    stop_grace_s: float = 5.0
    max_body_mb: float = 25.0
    memory_mb: float = 1024.0
    upload_limit_s: float = 60.0
    max_duration_s: float = 600.0
    max_enrollment_s: float = 60.0
    reading_memory_mb: float = 1024.0
    job_ttl_s: float = 600.0
    max_jobs: int = 100
    max_streams: int = 0
    max_stream_s: float = 600.0
    stream_idle_s: float = 30.0
    max_message_mb: float = 1.0
    shutdown_limit_s: float = 300.0
    api_keys: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = LOOPBACK_HOSTS

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            zero = field.name in _MAY_BE_ZERO
            if isinstance(value, int | float) and not (value >= 0 if zero else value > 0):
                raise ConfigError(
                    f"{field.name}: got {value}, expected {'0 or more' if zero else 'more than 0'}"
                )
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{field.name}: got {value}, expected a limit: a finite number")
        # the key itself is not in the message
        if any(len(key) < 16 or not key.isascii() or not key.isprintable() for key in self.api_keys):
            raise ConfigError(
                "api_keys: got a key that is too short or holds odd characters, expected 16 or more printable ASCII "
                "characters; make one with: openssl rand -hex 32"
            )
