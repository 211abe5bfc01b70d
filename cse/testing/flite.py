"""Speech from text, offline, by the synthesiser flite: for the mini recipe's corpus and the demo."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from cse.audio import load_waveform, resample, write_audio
from cse.errors import CseError

VOICES = ("slt", "rms", "awb", "kal16")
"""Voices of Debian's flite at 16 kHz: a woman, two men, and an old diphone voice that recognisers misread."""

_VOICE_RATE_HZ = 16000
_TIMEOUT_S = 60.0


class FliteMissingError(CseError):
    """The synthesiser flite is not installed on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "speech synthesis needs the program flite, which is not on the PATH: type apt-get install flite"
        )


def flite_available() -> bool:
    """Tell whether the program flite is on the PATH."""
    return shutil.which("flite") is not None


def synthesize(
    text: str, *, voice: str = "slt", rate: float = 1.0, pitch: float = 1.0, sample_rate: int = 16000
) -> np.ndarray:
    """Speak a text.

    A voice becomes another talker by its ``pitch``: the speech is synthesised longer and played back faster,
    which moves the pitch and the resonances of the vocal tract together, as in a smaller (> 1) or larger
    (< 1) talker.

    Args:
        text: what to say, one sentence or several.
        voice: one of `VOICES`.
        rate: speed of speaking, 1 as the voice was recorded, 0.5 to 2.
        pitch: factor on pitch and formants, 0.5 to 2, in steps of 0.01.
        sample_rate: of the result, in Hz.

    Returns:
        The speech, (T,) float32 in [-1, 1] at `sample_rate`.

    Raises:
        FliteMissingError: flite is not installed.
        CseError: the text is empty, an argument is out of its range or flite failed.

    Example:
        >>> if flite_available():
        ...     assert synthesize("Hello there.", voice="rms", pitch=1.1).dtype == np.float32
    """
    _check(text, voice, rate, pitch)
    pitch = round(pitch, 2)
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        _run_flite(text, voice, pitch / rate, spoken)
        waveform = load_waveform(spoken, _VOICE_RATE_HZ)
    return resample(waveform, round(_VOICE_RATE_HZ * pitch), sample_rate)


def speak(
    text: str,
    path: str | os.PathLike[str],
    *,
    voice: str = "slt",
    rate: float = 1.0,
    pitch: float = 1.0,
    sample_rate: int = 16000,
) -> float:
    """Speak a text into an audio file and return its duration in seconds.

    The arguments and errors are those of `synthesize`; the format follows the suffix of `path`, and the file
    appears only when it is complete.
    """
    waveform = synthesize(text, voice=voice, rate=rate, pitch=pitch, sample_rate=sample_rate)
    write_audio(path, waveform, sample_rate)
    return len(waveform) / sample_rate


def _check(text: str, voice: str, rate: float, pitch: float) -> None:
    if not text.strip():
        raise CseError("got an empty text to speak, expected words: pass a sentence")
    if voice not in VOICES:
        raise CseError(f"got voice {voice!r}, expected one of {', '.join(VOICES)}: choose one of these")
    for name, factor in (("rate", rate), ("pitch", pitch)):
        if not 0.5 <= factor <= 2.0:
            raise CseError(
                f"got {name} {factor}, expected a factor from 0.5 to 2: 1 keeps the voice as it is"
            )


def _run_flite(text: str, voice: str, stretch: float, output: Path) -> None:
    program = shutil.which("flite")
    if program is None:
        raise FliteMissingError
    # the text goes through a file: as an argument it would be visible in the list of processes, and a leading
    # hyphen would be read as an option
    script = output.with_suffix(".txt")
    script.write_text(text, encoding="utf-8")
    command = [program, "-voice", voice, "--setf", f"duration_stretch={stretch:.4f}", "-f", str(script)]
    command += ["-o", str(output)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if result.returncode != 0 or not output.is_file():
        reason = (result.stderr or result.stdout).strip().splitlines()[:1]
        raise CseError(f"flite failed with status {result.returncode} on voice {voice!r}: {' '.join(reason)}")
