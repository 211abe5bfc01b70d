"""Extracting: the model, loaded once in a process of its own, and one voice after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cse.audio import encode_audio, resample
from cse.extraction import Extraction
from cse.extractor import Extractor
from cse.history import Turn
from cse.service.messages import Message

Loader = Callable[[], Extractor]


@dataclass(kw_only=True)
class Extracting:
    """The work of an extractor: samples and turns in, the voice and what was found out.

    Tasks are the answers of `cse.service.reading.Reading`, with `target`, `on_absent`, `audio_format` and
    `candidate_audio` added. Answers hold what `Extraction.to_dict` does; blobs are the encoded voice and, where it was
    asked for, those of all candidates.

    Attributes:
        loader: Makes the extractor; can be pickled.
        threads: Of its arithmetic.
    """

    loader: Loader
    threads: int
    _extractor: Extractor | None = field(default=None, init=False)

    def load(self) -> dict[str, Any]:
        """Load the model."""
        import torch

        torch.set_num_threads(self.threads)
        self._extractor = self.loader()
        return {
            "name": self._extractor.name,
            "talkers": self._extractor.talkers,
            "sample_rate": self._extractor.method.sample_rate,
        }

    def work(self, task: Message, should_stop: Callable[[], bool]) -> Message:
        """Extract and encode."""
        assert self._extractor is not None, "a role works after it was loaded"
        header = task.header
        recording, *enrollments = header["recordings"]
        rate = recording["sample_rate"]
        samples, *voices = (np.frombuffer(blob, np.float32) for blob in task.blobs)
        result = self._extractor.extract(
            samples,
            None if header["turns"] is None else [Turn(*turn) for turn in header["turns"]],
            sample_rate=rate,
            enrollment=resample(voices[0], enrollments[0]["sample_rate"], rate) if voices else None,
            target=header["target"],
            on_absent=header["on_absent"],
            should_stop=should_stop,
        )
        result.warnings[:] = _merged(recording["warnings"], result.warnings)
        return Message(_description(result), _encoded(result, header))


def _description(result: Extraction) -> dict[str, Any]:
    description = result.to_dict()
    del description["output"]  # there is no file
    return description


def _encoded(result: Extraction, header: dict[str, Any]) -> tuple[bytes, ...]:
    suffix = f".{header['audio_format']}"
    waveforms = [result.waveform]
    if header["candidate_audio"]:
        waveforms += [candidate.waveform for candidate in result.candidates]
    # an estimate may overshoot a little
    return tuple(
        encode_audio(np.clip(waveform, -1.0, 1.0), result.sample_rate, suffix=suffix)
        for waveform in waveforms
    )


def _merged(of_reading: list[str], of_extraction: list[str]) -> list[str]:
    """Warnings without those that were found again in the decoded samples: the first words say which is which.

    >>> _merged(["clipped: 2.0 % of the samples"], ["clipped: 1.9 % of the samples", "a guess"])
    ['clipped: 2.0 % of the samples', 'a guess']
    """
    known = {warning.partition(":")[0] for warning in of_reading}
    return [*of_reading, *(warning for warning in of_extraction if warning.partition(":")[0] not in known)]
