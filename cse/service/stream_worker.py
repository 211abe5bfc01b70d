"""Streams in their worker process: several at once, each a state of the one model that is loaded there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cse.extractor import Extractor
from cse.history import Turn
from cse.service.errors import ServiceError
from cse.service.extracting import Loader
from cse.service.messages import Message
from cse.streaming.extractor import StreamingExtractor

_FULL_SCALE = 2**15


@dataclass(kw_only=True)
class Streaming:
    """The work on streams: samples in as they come, samples out.

    Tasks hold `stream`, the stream's number, and `do`: to `open` it, which takes what `StreamRequest.opening` holds; to
    `push` samples (16 bits, the lowest first) into it; to `end` it, which gives the rest; to `close` it, ended or not.
    Answers hold samples too, and the `choice` as soon as there is one.

    Attributes:
        loader: Makes the extractor; can be pickled.
        threads: Of its arithmetic.
    """

    loader: Loader
    threads: int
    _extractor: Extractor | None = field(default=None, init=False)
    _streams: dict[int, StreamingExtractor] = field(default_factory=dict, init=False)

    def load(self) -> dict[str, Any]:
        """Load the model."""
        import torch

        torch.set_num_threads(self.threads)
        self._extractor = self.loader()
        return {"name": self._extractor.name}

    def work(self, task: Message, should_stop: Callable[[], bool]) -> Message:
        """Do one thing to one stream."""
        number, do = task.header["stream"], task.header["do"]
        if do == "open":
            return self._open(number, task)
        if do == "close":
            self._streams.pop(number, None)
            return Message({})
        stream = self._streams.get(number)
        if stream is None:  # this process has taken the place of another one
            raise ServiceError(
                "worker_died", "the process that worked on the stream ended; begin another stream"
            )
        if do == "end":
            return _answer(stream, stream.flush())
        return _answer(stream, stream.push(np.frombuffer(task.blobs[0], "<i2")))

    def _open(self, number: int, task: Message) -> Message:
        assert self._extractor is not None, "a role works after it was loaded"
        wanted = task.header
        turns = [Turn(*turn) for turn in wanted["turns"]]
        stream = self._streams[number] = StreamingExtractor(
            extractor=self._extractor,
            history=turns,
            sample_rate=wanted["sample_rate"],
            target=wanted["target"],
            before_choice=wanted["before_choice"],
        )
        return Message(
            {
                "model": self._extractor.name,
                "context_turns": len(turns),
                "latency_s": round(stream.latency_s, 4),
            }
        )


def _answer(stream: StreamingExtractor, voice: np.ndarray) -> Message:
    choice = None
    if stream.choice is not None:
        choice = asdict(stream.choice)
        del choice["outputs"]
    samples = np.clip(np.round(voice * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2")
    return Message({"choice": choice}, (samples.tobytes(),))
