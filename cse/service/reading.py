"""Reading what strangers send: audio and chats, in a process that may hang, crash or run out of memory."""

from __future__ import annotations

import io
import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cse.audio import Recording, read_audio
from cse.errors import HistoryError, InvalidAudioError
from cse.service.conversation import inspect_conversation, read_conversation
from cse.service.messages import Message
from cse.service.settings import MB, Settings


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The work of a reader: encoded audio and a chat in, samples and turns out.

    Tasks are those of `cse.service.reading_tasks`. A recording and its enrollment are answered by `recordings`, whose
    samples (float32) are the blobs; a conversation by its `turns` and the `target`, where the chat says who sent the
    note; a preview by what `Inspection.to_dict` says.

    Attributes:
        max_duration_s: The longest recording.
        max_enrollment_s: The longest enrollment.
        memory_mb: What a task may take.
        time_limit_s: Processor time that decoding may take. (The service has an eye on the clock.)
        read_limit_s: Processor time that reading a conversation may take.
    """

    max_duration_s: float
    max_enrollment_s: float
    memory_mb: float
    time_limit_s: float
    read_limit_s: float

    @classmethod
    def of(cls, settings: Settings) -> Reading:
        """With the limits of the service."""
        return cls(
            max_duration_s=settings.max_duration_s,
            max_enrollment_s=settings.max_enrollment_s,
            memory_mb=settings.reading_memory_mb,
            time_limit_s=settings.time_limit_s,
            read_limit_s=settings.read_limit_s,
        )

    def load(self) -> dict[str, Any]:
        """Load the decoders, then give away the means to do harm: memory, files."""
        try:
            import av  # noqa: F401
        except ImportError:
            codecs = False
        else:
            codecs = True
        _limit(resource.RLIMIT_AS, _address_space_bytes() + round(self.memory_mb * MB))
        _limit(resource.RLIMIT_FSIZE, 0)  # nothing that people say reaches the disk
        return {"codecs": codecs}

    def work(self, task: Message, should_stop: Callable[[], bool]) -> Message:
        """Read audio, or a conversation."""
        audio = task.header["do"] == "audio"
        limit_s = self.time_limit_s if audio else self.read_limit_s
        # the system ends the process then: no parser asks whether to stop
        _limit(resource.RLIMIT_CPU, math.ceil(time.process_time() + limit_s), hard=False)
        return self._audio(task) if audio else self._conversation(task)

    def _conversation(self, task: Message) -> Message:
        read = self._preview if task.header["do"] == "preview" else self._turns
        try:
            return read(bytes(task.blobs[0]), task.header)
        except MemoryError:
            raise HistoryError(
                f"history: got a chat that takes more than {self.memory_mb:g} MB to read; cut off its old part"
            ) from None

    def _preview(self, data: bytes, header: dict[str, Any]) -> Message:
        inspection = inspect_conversation(
            data, header["history_format"], at=header["at"], audio=header["audio"], chat=header["chat"]
        )
        return Message(inspection.to_dict())

    def _turns(self, data: bytes, header: dict[str, Any]) -> Message:
        context = read_conversation(
            data, header["history_format"], at=header["at"], audio=header["audio"], chat=header["chat"]
        )
        turns = [[turn.text, turn.speaker, turn.time] for turn in context.turns]
        return Message({"turns": turns, "target": context.target})

    def _audio(self, task: Message) -> Message:
        file, *others = task.blobs
        recordings = [self._recording(file, "file", self.max_duration_s)]
        recordings += [self._recording(data, "enrollment", self.max_enrollment_s) for data in others]
        found = [
            {"sample_rate": recording.sample_rate, "warnings": recording.warnings} for recording in recordings
        ]
        samples = (np.ascontiguousarray(recording.waveform) for recording in recordings)
        return Message({"recordings": found}, tuple(one.data.cast("B") for one in samples))

    def _recording(self, data: bytes | memoryview, name: str, max_duration_s: float) -> Recording:
        try:
            return read_audio(_Named(data, name), max_duration_s=max_duration_s)
        except MemoryError:
            raise InvalidAudioError(
                f"{name}: got audio that takes more than {self.memory_mb:g} MB to decode; cut it into parts"
            ) from None


class _Named(io.BytesIO):
    """Bytes that errors call by the field of the form in which they came."""

    def __init__(self, data: bytes | memoryview, name: str) -> None:
        super().__init__(data)
        self.name = name


def _limit(what: int, value: int, *, hard: bool = True) -> None:
    """Lower a limit of this process; a lower one that is there already stays. Systems without it go without."""
    _, highest = resource.getrlimit(what)
    value = value if highest == resource.RLIM_INFINITY else min(value, highest)
    try:
        resource.setrlimit(what, (value, value if hard else highest))
    except (ValueError, OSError):  # macOS refuses limits to the address space
        return


def _address_space_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2**30
