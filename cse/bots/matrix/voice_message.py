"""The event that is a voice message."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import soundfile

from cse.bots.voices import Voice

_MOST_BARS = 100
_LOUDEST = 1024


def voice_message(voice: Voice, *, url: str) -> dict[str, Any]:
    """The content of the event, by MSC3245 and MSC1767 in the unstable forms that clients read.

    Args:
        voice: OGG/Opus.
        url: Its mxc address.
    """
    name, mime, size = "voice.ogg", "audio/ogg", len(voice.audio)
    duration_ms = round(1000 * voice.duration_s)
    return {
        "msgtype": "m.audio",
        "body": name,
        "url": url,
        "info": {"mimetype": mime, "size": size, "duration": duration_ms},
        "org.matrix.msc1767.text": name,
        "org.matrix.msc1767.file": {"url": url, "name": name, "mimetype": mime, "size": size},
        "org.matrix.msc1767.audio": {"duration": duration_ms, "waveform": loudness(voice.audio)},
        "org.matrix.msc3245.voice": {},
    }


def loudness(audio: bytes) -> list[int]:
    """What clients draw: the highest samples of at most 100 equal parts, from 0 to 1024 (the loudest part).

    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.repeat([0.1, 0.4], 8000), 16000, format="WAV")
    >>> bars = loudness(file.getvalue())
    >>> len(bars), bars[0], bars[-1]
    (100, 256, 1024)
    """
    with soundfile.SoundFile(io.BytesIO(audio)) as file:
        part = max(1, math.ceil(file.frames / _MOST_BARS))
        peaks = [float(np.abs(block).max()) for block in file.blocks(part, dtype="float32")]
    loudest = max([1e-9, *peaks])
    return [round(_LOUDEST * peak / loudest) for peak in peaks]
