"""Reading what strangers send: audio and chats, in a process that may hang, crash or run out of memory."""

from __future__ import annotations

import io
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cse.audio import Recording, read_audio
from cse.chat import Context
from cse.errors import HistoryError, InvalidAudioError
from cse.service.conversation import inspect_conversation, read_conversation
from cse.service.messages import Message
from cse.service.settings import MB, Settings


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The work of a reader: encoded audio and a chat in, samples and turns out.

    Tasks hold `has_history`, `has_enrollment`, and of the conversation `history_format`, `at`, `chat` and `file_name`;
    blobs are the recording and, where they are, the conversation and the enrollment. Answers hold `turns`, the `target`
    where the chat says who sent the note, and for the recording and the enrollment `recordings`, whose samples
    (float32) are the blobs. A task that is a `preview` has the conversation as its only blob; its answer
    is what `Inspection.to_dict` says.

    Attributes:
        max_duration_s: The longest recording.
        max_enrollment_s: The longest enrollment.
        memory_mb: What a task may take.
        time_limit_s: Processor time that a task may take. (The service has an eye on the clock.)
    """

    max_duration_s: float
    max_enrollment_s: float
    memory_mb: float
    time_limit_s: float

    @classmethod
    def of(cls, settings: Settings) -> Reading:
        """With the limits of the service."""
        return cls(
            max_duration_s=settings.max_duration_s,
            max_enrollment_s=settings.max_enrollment_s,
            memory_mb=settings.reading_memory_mb,
            time_limit_s=settings.time_limit_s,
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
        """Read the audio, then the conversation."""
        _limit(resource.RLIMIT_CPU, int(time.process_time() + self.time_limit_s) + 2, hard=False)
        return self._preview(task) if task.header.get("preview") else self._read(task)

    def _preview(self, task: Message) -> Message:
        data, header = bytes(task.blobs[0]), task.header
        try:
            inspection = inspect_conversation(
                data,
                header["history_format"],
                at=header["at"],
                audio=header["file_name"],
                chat=header["chat"],
            )
        except MemoryError:
            raise HistoryError(
                f"history: got a chat that takes more than {self.memory_mb:g} MB to read; cut off its old part"
            ) from None
        return Message(inspection.to_dict())

    def _read(self, task: Message) -> Message:
        blobs = list(task.blobs)
        try:
            recordings = [self._recording(blobs.pop(0), "file", self.max_duration_s)]
            context = (
                self._conversation(bytes(blobs.pop(0)), task.header) if task.header["has_history"] else None
            )
            if task.header["has_enrollment"]:
                recordings.append(self._recording(blobs.pop(0), "enrollment", self.max_enrollment_s))
        except MemoryError:
            raise InvalidAudioError(
                f"file: got audio that takes more than {self.memory_mb:g} MB to decode; cut it into parts"
            ) from None
        return Message(
            {
                "turns": None
                if context is None
                else [[turn.text, turn.speaker, turn.time] for turn in context.turns],
                "target": None if context is None else context.target,
                "recordings": [
                    {"sample_rate": recording.sample_rate, "warnings": recording.warnings}
                    for recording in recordings
                ],
            },
            tuple(np.ascontiguousarray(recording.waveform).data.cast("B") for recording in recordings),
        )

    def _conversation(self, data: bytes, header: dict[str, Any]) -> Context:
        return read_conversation(
            data, header["history_format"], at=header["at"], audio=header["file_name"], chat=header["chat"]
        )

    def _recording(self, data: bytes | memoryview, name: str, max_duration_s: float) -> Recording:
        return read_audio(_Named(data, name), max_duration_s=max_duration_s)


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
