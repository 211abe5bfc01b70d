"""Which transcriber a name means, and which one is taken where none is named."""

from __future__ import annotations

import os

from cse.errors import MissingExtraError
from cse.selection.transcriber import Transcriber

NAMES = ("moonshine", "pocketsphinx")
"""The transcribers whose weights are in a package; any other name is a Whisper model's."""


def load_transcriber(source: str | os.PathLike[str], *, device: str = "cpu") -> Transcriber:
    """Load the transcriber that a user names.

    Args:
        source: "moonshine", "pocketsphinx", a folder with a Whisper model (./moonshine where it has such a
            name), or `hf://owner/name`, which downloads one.
        device: Where Whisper runs; the others stay on the processor.

    Raises:
        CheckpointError: There is no such model, or it is damaged.
        MissingExtraError: The package of a named one is not installed.
    """
    if source == "moonshine":
        from cse.selection.moonshine import MoonshineTranscriber

        return MoonshineTranscriber()
    if source == "pocketsphinx":
        from cse.selection.sphinx import PocketSphinxTranscriber

        return PocketSphinxTranscriber()
    from cse.selection.whisper import WhisperTranscriber

    return WhisperTranscriber(source, device=device)


def default_transcriber() -> Transcriber:
    """Load the best transcriber that is installed and needs no download: Moonshine, else PocketSphinx.

    Raises:
        CheckpointError: Moonshine is installed, but damaged.
        MissingExtraError: Neither is installed.
    """
    try:
        return load_transcriber("moonshine")
    except MissingExtraError as missing:
        try:
            return load_transcriber("pocketsphinx")
        except MissingExtraError:
            raise missing from None
