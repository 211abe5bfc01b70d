"""A service in a process of its own, with a tiny model, and a client for it."""

from __future__ import annotations

import io
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import requests
import soundfile

from cse.audio import encode_audio
from cse.testing.running_process import RunningProcess

_LONGEST_START_S = 120.0
# where it is not named, a part of torch that transformers loads looks for a place to write by writing
_ENVIRONMENT = {"TORCHINDUCTOR_CACHE_DIR": str(Path(tempfile.gettempdir(), "cse_torch"))}
MESSAGES = json.dumps([{"speaker": "Ana", "text": "Where shall we meet?"}])


def tones(duration_s: float = 1.0, *, suffix: str = ".wav", sample_rate: int = 16000) -> bytes:
    """A mixture of a low and a high tone, encoded.

    >>> tones(suffix=".ogg")[:4]
    b'OggS'
    """
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    mixture = 0.2 * np.sin(2 * np.pi * 300 * time_s) + 0.2 * np.sin(2 * np.pi * 2500 * time_s)
    return encode_audio(mixture, sample_rate, suffix=suffix)


def peak_hz(audio: bytes) -> float:
    """The loudest frequency of OGG/Opus.

    Raises:
        ValueError: It is something else.

    >>> round(peak_hz(tones(suffix=".ogg"))) in (300, 2500)
    True
    """
    if audio[:4] != b"OggS" or b"OpusHead" not in audio[:100]:
        raise ValueError("got no OGG/Opus")
    samples, rate = soundfile.read(io.BytesIO(audio))
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples))


class RunningService(RunningProcess):
    """`python -m cse.testing.serving` with some settings, from its start to its end.

    Args:
        packaged: Whether it has the packaged model, instead of one that takes tones apart.
        settings: Of `cse.service.settings.Settings`.

    Attributes:
        url: Where it is.
    """

    def __init__(self, *, packaged: bool = False, **settings: Any) -> None:
        super().__init__("cse.testing.serving", json.dumps({"packaged": packaged, **settings}), _ENVIRONMENT)
        line = self.wait_for(lambda: next((line for line in self.log if "listening" in line), None))
        self.url = re.findall(r"http://\S+", line)[0]

    @property
    def port(self) -> int:
        """On which it listens."""
        return int(self.url.rpartition(":")[2])

    def workers(self, role: str) -> list[int]:
        """Process ids of the workers that read (`reading`) or extract (`extracting`)."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        found = []
        for child in children:
            try:
                maps = Path(f"/proc/{child}/maps").read_text()
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
            kind = "extracting" if "libtorch" in maps else "reading" if "libsndfile" in maps else "other"
            if kind == role:
                found.append(int(child))
        return found

    def wait_until_ready(self) -> RunningService:
        """Wait until all workers have loaded."""
        self.wait_for(lambda: requests.get(f"{self.url}/readyz", timeout=10).status_code == 200)
        return self

    def wait_for(self, condition: Callable[[], Any], limit_s: float = _LONGEST_START_S) -> Any:
        """Wait until something is true, and return it.

        Raises:
            TimeoutError: It did not come true.
        """
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if found := condition():
                return found
            if self._process.poll() is not None and not condition():
                raise TimeoutError(f"the service ended: {self.log[-5:]}")
            time.sleep(0.05)
        raise TimeoutError(f"waited for {limit_s:g} s in vain; the service says {self.log[-5:]}")

    def post(
        self,
        path: str = "/v1/audio/extractions",
        *,
        file: bytes | None = None,
        headers: dict[str, str] | None = None,
        **fields: str | bytes | None,
    ) -> requests.Response:
        """Send a form; without other wishes a recording of two tones and a conversation. None leaves a field out."""
        form: dict[str, Any] = {"file": ("note.wav", io.BytesIO(tones() if file is None else file))}
        if not {"messages", "history", "enrollment"} & fields.keys():
            form["messages"] = (None, MESSAGES)
        for name, value in fields.items():
            if value is not None:
                form[name] = (f"{name}.bin", io.BytesIO(value)) if isinstance(value, bytes) else (None, value)
        return requests.post(f"{self.url}{path}", files=form, headers=headers, timeout=120)

    def get(self, path: str, **options: Any) -> requests.Response:
        """Ask for something."""
        return requests.get(f"{self.url}{path}", timeout=60, **options)

    def metric(self, name: str) -> float:
        """The value of a metric, with its labels as in Prometheus's text format; 0 where it is not there yet."""
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0
