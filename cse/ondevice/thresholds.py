"""What voices are compared with after the network, by name: in exported files, for programs in other languages."""

from __future__ import annotations

from cse.models.found_talkers import SAME_CORRELATION
from cse.models.levels import SHORT_SHARE, SILENT_BELOW_DB, SPEECH_FRAMES, SPEECH_SHARE, frame_samples
from cse.models.talker_tracks import COMPARED_ABOVE_DB


def thresholds(sample_rate: int) -> dict[str, float]:
    """The numbers of `levels`, `found_talkers` and `talker_tracks` in `cse.models`, which explain them.

    Args:
        sample_rate: Of the voices, in Hz.

    >>> thresholds(16_000)["silent_below_db"]
    20.0
    """
    return {
        "frame_samples": frame_samples(sample_rate),
        "speech_frames": SPEECH_FRAMES,
        "speech_share": SPEECH_SHARE,
        "short_share": SHORT_SHARE,
        "silent_below_db": SILENT_BELOW_DB,
        "same_correlation": SAME_CORRELATION,
        "compared_above_db": COMPARED_ABOVE_DB,
    }
