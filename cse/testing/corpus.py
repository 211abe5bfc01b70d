"""A made-up corpus of a few seconds, written by code: for tests that need manifests and audio."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from cse.audio import write_audio
from cse.history import Turn
from cse.manifest import Mixture, Utterance, write_manifest

_WORDS = (
    "we could meet near the old bridge after lunch and walk along the river until it gets dark if the "
    "weather stays dry then my sister brings bread cheese apples coffee while you carry maps and a radio"
).split()


def speech_like(duration_s: float, *, talker: int, sample_rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Make a signal with the outline of speech: syllables of a voiced harmonic sound, and noise between them.

    Two talkers differ in pitch (90 Hz to 270 Hz) and in three resonances, so that a separator can learn to
    tell them apart.

    Args:
        duration_s: length in seconds.
        talker: which voice; the same number is the same voice.
        sample_rate: in Hz.
        seed: which "sentence" the voice says.

    Returns:
        The signal, (T,) float32 with a peak of 0.5 at `sample_rate`.

    Example:
        >>> speech_like(0.5, talker=3, sample_rate=8000).shape
        (4000,)
    """
    length = round(duration_s * sample_rate)
    time_s = np.arange(length) / sample_rate
    voice, sentence = np.random.default_rng((7, talker)), np.random.default_rng((11, talker, seed))
    pitch_hz = voice.uniform(90, 270) * (1 + 0.08 * np.sin(2 * np.pi * sentence.uniform(0.3, 0.9) * time_s))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / sample_rate
    formants_hz = voice.uniform((300, 900, 2200), (800, 2000, 3200))
    voiced = np.zeros(length)
    for harmonic in range(1, int(0.45 * sample_rate / 292) + 1):  # 292 Hz: the highest pitch
        frequency_hz = harmonic * pitch_hz
        gain = sum(np.exp(-(((frequency_hz - formant) / 250) ** 2)) for formant in formants_hz) + 0.02
        voiced += gain * np.sin(harmonic * phase)
    syllables_hz = sentence.uniform(3, 5)
    envelope = np.clip(np.sin(2 * np.pi * syllables_hz * time_s + sentence.uniform(0, 6)), 0, None)
    fricatives = 0.1 * np.std(voiced) * sentence.standard_normal(length) * (envelope == 0)
    signal = voiced * envelope + fricatives
    return (0.5 * signal / max(np.abs(signal).max(), 1e-9)).astype(np.float32)


def write_utterances(
    folder: str | os.PathLike[str],
    *,
    talkers: int = 4,
    dialogues: int = 2,
    turns: int = 4,
    duration_s: float = 1.0,
    sample_rate: int = 16000,
    split: str = "train",
    seed: int = 0,
) -> Path:
    """Write dialogues of made-up speech and their ``utterances.jsonl``.

    Two of the talkers speak in turn in each dialogue; an utterance carries the turns before it as history.

    Args:
        folder: where to; audio goes to ``folder/audio``.
        talkers: different voices, at least 2.
        dialogues: number of dialogues.
        turns: turns of each dialogue, one utterance each.
        duration_s: mean length of an utterance in seconds; single ones are up to 20 % shorter or longer.
        sample_rate: of the audio, in Hz.
        split: value of the field ``split``.
        seed: of texts, lengths and sounds.

    Returns:
        The path of ``utterances.jsonl``.

    Example:
        >>> import tempfile
        >>> from cse.manifest import read_utterances
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     manifest = write_utterances(folder, dialogues=1, duration_s=0.2)
        ...     [len(utterance.history) for utterance in read_utterances(manifest)]
        [0, 1, 2, 3]
    """
    root = Path(folder)
    (root / "audio").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    utterances = []
    for dialogue in range(dialogues):
        pair = rng.choice(talkers, size=2, replace=False)
        history: list[Turn] = []
        for turn in range(turns):
            talker = int(pair[turn % 2])
            length_s = round(duration_s * rng.uniform(0.8, 1.2), 2)
            sentence = 1000 * dialogue + turn
            waveform = speech_like(length_s, talker=talker, sample_rate=sample_rate, seed=sentence)
            name = f"{split}{dialogue:03d}-{turn:02d}"
            path = root / "audio" / f"{name}.wav"
            write_audio(path, waveform, sample_rate)
            text = _sentence(rng)
            utterances.append(
                Utterance(
                    id=name,
                    audio=path.resolve(),
                    speaker=f"talker{talker}",
                    duration_s=len(waveform) / sample_rate,
                    sample_rate=sample_rate,
                    text=text,
                    dialogue=f"{split}{dialogue:03d}",
                    history=tuple(history),
                    split=split,
                    extra={},
                )
            )
            history.append(Turn(text, f"talker{talker}"))
    write_manifest(root / "utterances.jsonl", utterances)
    return root / "utterances.jsonl"


def write_mixtures(
    folder: str | os.PathLike[str],
    *,
    mixtures: int = 3,
    talkers: int = 2,
    duration_s: float = 1.0,
    sample_rate: int = 16000,
    seed: int = 0,
) -> Path:
    """Write mixtures of made-up speech, their sources and their ``mixtures.jsonl``.

    Every mixture is the sum of its target and its interferers (up to 16-bit rounding), all at the same level,
    with a history of two turns and an enrollment of the target's talker.

    Args:
        folder: where to; audio goes to ``folder/audio``.
        mixtures: number of mixtures.
        talkers: voices per mixture, the target included.
        duration_s: length of each mixture in seconds.
        sample_rate: of the audio, in Hz.
        seed: of texts and sounds.

    Returns:
        The path of ``mixtures.jsonl``.

    Example:
        >>> import tempfile
        >>> from cse.manifest import read_mixtures
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     read_mixtures(write_mixtures(folder, mixtures=1, talkers=3, duration_s=0.2))[0].snr_db
        (0.0, 0.0)
    """
    root = Path(folder)
    (root / "audio").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    records = [
        _write_mixture(root, index, talkers, duration_s, sample_rate, rng) for index in range(mixtures)
    ]
    write_manifest(root / "mixtures.jsonl", records)
    return root / "mixtures.jsonl"


def _write_mixture(
    root: Path, number: int, talkers: int, duration_s: float, sample_rate: int, rng: np.random.Generator
) -> Mixture:
    def store(part: str, waveform: np.ndarray) -> Path:
        path = root / "audio" / f"mixture{number:03d}-{part}.wav"
        write_audio(path, waveform, sample_rate)
        return path.resolve()

    def speech(voice: int, seed: int) -> np.ndarray:
        waveform = speech_like(duration_s, talker=voice, sample_rate=sample_rate, seed=seed)
        return waveform * np.float32(0.05 / np.sqrt(np.mean(waveform**2)))

    voices = [int(voice) for voice in rng.choice(50, size=talkers, replace=False)]
    sources = [speech(voice, number) for voice in voices]
    sentences = [_sentence(rng) for _ in range(talkers + 2)]
    return Mixture(
        id=f"mixture{number:03d}",
        mixture=store("mixture", np.sum(sources, axis=0)),
        target=store("target", sources[0]),
        interferers=tuple(store(f"interferer{index}", source) for index, source in enumerate(sources[1:], 1)),
        noise=None,
        sample_rate=sample_rate,
        duration_s=len(sources[0]) / sample_rate,
        history=(Turn(sentences[-2], "other"), Turn(sentences[-1], f"talker{voices[0]}")),
        target_speaker=f"talker{voices[0]}",
        target_text=sentences[0],
        interferer_texts=tuple(sentences[1:talkers]),
        enrollment=store("enrollment", speech(voices[0], 10_000 + number)),
        snr_db=(0.0,) * (talkers - 1),
        rt60_s=None,
        seed=number,
        extra={},
    )


def _sentence(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(_WORDS, size=6)).capitalize() + "."
