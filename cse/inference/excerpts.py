"""What is listened to of a long voice: its beginning, and the stretches in which it says most."""

from __future__ import annotations

import numpy as np

from cse.selection.transcriber import split_at_pauses

_STRETCH_S = 10.0
_FIRST_SHARE = 3  # a third of what is listened to comes from the beginning, where the last turn is answered
_FRAME_S = 0.02
_LOUD_FRAMES, _SPEECH_RANGE_DB = 25, 25.0
_GAP_S = 0.3


def excerpt(voice: np.ndarray, sample_rate: int, *, max_s: float) -> np.ndarray:
    """The parts of a voice that are worth listening to, with short pauses between them.

    The first speech of the recording, since that is what continues a conversation, and then the stretch with the most
    speech of each section of what follows, so that all of the recording is heard of.

    Args:
        voice: (T,) floating point at `sample_rate` Hz.
        sample_rate: in Hz.
        max_s: How long the parts are together; a voice that is not longer is returned whole.

    Returns:
        (T',) float32, not longer than `max_s` and the pauses.

    >>> hour = np.zeros(3600 * 1000, np.float16)
    >>> hour[600_000:605_000] = 0.5
    >>> heard = excerpt(hour, 1000, max_s=60.0)
    >>> len(heard) <= 63_000, int((heard == 0.5).sum())
    (True, 5000)
    """
    if len(voice) <= max_s * sample_rate:
        return voice.astype(np.float32)
    stretches = split_at_pauses(voice, sample_rate, _STRETCH_S)
    speech_s = _speech_durations_s(voice, stretches, sample_rate)
    wanted = max(1, int(max_s / _STRETCH_S))
    spoken = np.flatnonzero(speech_s >= 0.1 * _STRETCH_S)
    first = spoken[: wanted // _FIRST_SHARE].tolist()
    rest = range(first[-1] + 1 if first else 0, len(stretches))
    sections = np.array_split(np.array(rest), wanted - len(first))
    richest = [int(section[speech_s[section].argmax()]) for section in sections if len(section)]
    chosen = [*first, *(stretch for stretch in richest if speech_s[stretch] > 0)] or [int(speech_s.argmax())]
    gap = np.zeros(round(_GAP_S * sample_rate), np.float32)
    parts = [part for place in chosen for part in (voice[slice(*stretches[place])].astype(np.float32), gap)]
    return np.concatenate(parts[:-1])


def _speech_durations_s(voice: np.ndarray, stretches: list[tuple[int, int]], sample_rate: int) -> np.ndarray:
    """How long somebody talks in each stretch: frames within 25 dB of the loudest half second in all."""
    frame = max(1, round(_FRAME_S * sample_rate))
    powers = []
    for start, end in stretches:
        whole = voice[start : start + (end - start) // frame * frame].astype(np.float32)
        powers.append(np.square(whole.reshape(-1, frame)).mean(axis=1))
    # not the loudest frame: that may be a click
    loud = np.sort(np.concatenate(powers))[-_LOUD_FRAMES:][0]
    threshold = max(loud * 10 ** (-_SPEECH_RANGE_DB / 10), 1e-12)
    return np.array([(power >= threshold).sum() for power in powers]) * _FRAME_S
