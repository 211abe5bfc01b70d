"""A module run in a process of its own, with its log: what tests of the service and of bots are built on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from typing import Self


class RunningProcess:
    """`python -m module argument`, from its start to its end; a context manager.

    It may write no files at all, so that a test that passes shows that nothing is left on the disk.

    Args:
        module: What is run.
        argument: Its only argument.
        environment: More variables of its environment.

    Attributes:
        log: The lines that it has written to stderr so far.
    """

    def __init__(self, module: str, argument: str, environment: dict[str, str] | None = None) -> None:
        self.log: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, argument],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
            preexec_fn=_no_files,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    @property
    def pid(self) -> int:
        """Of the process itself."""
        return self._process.pid

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, limit_s: float = 60.0) -> int:
        """Wait for the end of the process; return its exit code."""
        return self._process.wait(limit_s)

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line.rstrip("\n"))


def _no_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
