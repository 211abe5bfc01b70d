"""What came out of an extraction, and how it is told."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from cse.service.messages import Message
from cse.service.request import AudioFormat

MEDIA_TYPES: dict[AudioFormat, str] = {"ogg": "audio/ogg", "wav": "audio/wav"}


@dataclass(frozen=True)
class Outcome:
    """A finished extraction; nothing of what was sent, which may be much larger, is kept with it.

    Attributes:
        audio_format: In which the voices are encoded.
        answer: Of an extractor: `Extraction.to_dict`, and the encoded voices.
    """

    audio_format: AudioFormat
    answer: Message

    @property
    def size_bytes(self) -> int:
        """Of the voices."""
        return sum(len(blob) for blob in self.answer.blobs)

    @property
    def audio(self) -> bytes:
        """The voice, encoded."""
        return bytes(self.answer.blobs[0])

    def headers(self) -> dict[str, str]:
        """What fits into headers beside the voice: nothing that anybody said."""
        found = self.answer.header
        return {
            "X-CSE-Probability": f"{found['probability']:.4f}",
            "X-CSE-Abstained": str(found["abstained"]).lower(),
            "X-CSE-Target-Present": str(found["target_present"]).lower(),
            "X-CSE-Talkers": str(found["talkers"]),
            "X-CSE-Duration-S": f"{found['duration_s']:.3f}",
            "X-CSE-Model": found["model"].encode("ascii", "replace").decode(),
        }

    def result(self) -> dict[str, Any]:
        """Everything as plain values; the voices in Base64."""
        voice, *others = (self._encoded(blob) for blob in self.answer.blobs)
        found = {**self.answer.header, "audio": voice}
        if others:
            found["candidates"] = [
                {**candidate, "audio": audio}
                for candidate, audio in zip(found["candidates"], others, strict=True)
            ]
        return found

    def json(self) -> bytes:
        """`result` as the body of an answer."""
        return json.dumps(self.result(), ensure_ascii=False).encode()

    def _encoded(self, blob: bytes | memoryview) -> dict[str, str]:
        return {"format": self.audio_format, "data": base64.b64encode(blob).decode()}
