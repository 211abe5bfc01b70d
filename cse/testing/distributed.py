"""Small corpora of made-up voices in the layouts of SpokenWOZ and TED-LIUM 3 as distributed: for tests of recipes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import soundfile

from cse.testing.corpus import speech_like

_WORDS = "we could meet at the old café near the bridge and then walk along the river naïve as ever".split()
_PAUSE_S = 0.2
_VOICES = 32  # a large corpus is quicker to write where voices come back
_FEW = MappingProxyType({"train": 4, "dev": 3, "test": 3})


def write_spokenwoz(
    folder: Path,
    *,
    dialogues: Mapping[str, int] = _FEW,
    turns: int = 6,
    turn_s: float = 1.0,
    seed: int = 0,
) -> dict[str, list[str]]:
    """Write dialogues of a user and a system, each on a channel of its own, at 8 kHz.

    Args:
        folder: Where to; made.
        dialogues: How many in `train`, `dev` and `test`.
        turns: Of each dialogue, the user's first.
        turn_s: Length of each turn.
        seed: Of words and sounds.

    Returns:
        Ids of the utterances of each split, as in the paper's lists: `0_0_MUL0000`.

    >>> import tempfile
    >>> write_spokenwoz(Path(tempfile.mkdtemp()), dialogues={"test": 1}, turns=2, turn_s=0.2)["test"]
    ['0_0_MUL0000', '1_1_MUL0000']
    """
    rng = np.random.default_rng(seed)
    ids: dict[str, list[str]] = {}
    number = 0
    for part, splits in {"train_dev": ("train", "dev"), "test": ("test",)}.items():
        texts, audio = folder / f"text_5700_{part}", folder / f"audio_5700_{part}"
        texts.mkdir(parents=True)
        audio.mkdir()
        data: dict[str, Any] = {}
        names: dict[str, list[str]] = {}
        for split in splits:
            names[split] = [f"MUL{number + place:04d}" for place in range(dialogues.get(split, 0))]
            number += len(names[split])
            for name in names[split]:
                data[name] = {"goal": {}, "log": [_turn(place, turn_s, rng) for place in range(turns)]}
                _write_call(audio / f"{name}.wav", turns, turn_s, int(name[3:]))
            ids[split] = [f"{place}_{place % 2}_{name}" for name in names[split] for place in range(turns)]
        (texts / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        if part == "train_dev":
            (texts / "valListFile.json").write_text("".join(f"{name}\n" for name in names["dev"]))
    return ids


def _turn(place: int, turn_s: float, rng: np.random.Generator) -> dict[str, Any]:
    begin_ms = round(1000 * place * (turn_s + _PAUSE_S))
    words = [str(word) for word in rng.choice(_WORDS, size=4)]
    each_ms = round(1000 * turn_s / len(words))
    times = [begin_ms + each_ms * index for index in range(len(words) + 1)]
    return {
        "text": " ".join(words) + ".",
        "tag": ("user", "system")[place % 2],
        "metadata": {},
        "words": [
            {"Word": word, "BeginTime": begin, "EndTime": end, "ChannelId": place % 2}
            for word, begin, end in zip(words, times, times[1:], strict=False)
        ],
    }


def _write_call(path: Path, turns: int, turn_s: float, call: int, sample_rate: int = 8000) -> None:
    """Two channels in turns: who does not speak is silent."""
    period_s = turn_s + _PAUSE_S
    voices = [_voice(turns * period_s, (2 * call + side) % _VOICES, sample_rate) for side in (0, 1)]
    time_s = np.arange(len(voices[0])) / sample_rate
    speaking = (time_s // period_s).astype(int) % 2
    call_samples = np.stack([voice * (speaking == side) for side, voice in enumerate(voices)], axis=1)
    soundfile.write(path, call_samples, sample_rate, subtype="PCM_16")


@lru_cache(maxsize=_VOICES)
def _voice(duration_s: float, talker: int, sample_rate: int) -> np.ndarray:
    return speech_like(duration_s, talker=talker, sample_rate=sample_rate)


def write_tedlium3(
    folder: Path,
    *,
    talks: Mapping[str, int] = _FEW,
    sentences: int = 6,
    sentence_s: float = 1.0,
    seed: int = 0,
) -> dict[str, list[str]]:
    """Write talks of a speaker each, as sphere files at 16 kHz with their transcripts.

    As in the corpus, talks of all speaker-adaptation splits lie in `legacy/train`; `legacy/dev` and `legacy/test` hold
    a talk each that is in training there.

    Args:
        folder: Where to; made.
        talks: How many in `train`, `dev` and `test` of the lists for speaker adaptation, beside those two.
        sentences: Of each talk.
        sentence_s: Length of each sentence.
        seed: Of words and sounds.

    Returns:
        Ids of the utterances of each speaker-adaptation split: `TalkerAA_2009-0000020-0000120`.

    >>> import tempfile
    >>> write_tedlium3(Path(tempfile.mkdtemp()), talks={"test": 1}, sentences=2, sentence_s=0.2)["test"]
    ['TalkerAC_2009-0000020-0000040', 'TalkerAC_2009-0000060-0000080']
    """
    rng = np.random.default_rng(seed)
    for kind in ("sph", "stm"):
        for split in ("train", "dev", "test"):
            (folder / "legacy" / split / kind).mkdir(parents=True)
    lists: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    ids: dict[str, list[str]] = {split: [] for split in lists}
    places = [("train", "dev"), ("train", "test")]
    places += [(split, "train") for split in lists for _ in range(talks.get(split, 0))]
    for number, (split, legacy) in enumerate(places):
        name = f"Talker{chr(65 + number // 26)}{chr(65 + number % 26)}_2009"
        lists[split].append(name)
        lines = _transcript(name, sentences, sentence_s, rng)
        ids[split] += [f"{name}-{begin:07d}-{end:07d}" for begin, end in _times(sentences, sentence_s)]
        (folder / "legacy" / legacy / "stm" / f"{name}.stm").write_text(
            "\n".join(lines) + "\n", encoding="utf-8"
        )
        talk = speech_like(sentences * (sentence_s + _PAUSE_S) + 1, talker=number)
        sphere = folder / "legacy" / legacy / "sph" / f"{name}.sph"
        soundfile.write(sphere, talk, 16000, format="NIST", subtype="PCM_16")
    (folder / "speaker-adaptation").mkdir()
    for split, names in lists.items():
        (folder / "speaker-adaptation" / f"{split}.lst").write_text("".join(f"{name}\n" for name in names))
    return ids


def _times(sentences: int, sentence_s: float) -> list[tuple[int, int]]:
    """Begin and end of each sentence in hundredths of a second."""
    pause, length = round(100 * _PAUSE_S), round(100 * sentence_s)
    return [(pause + place * (pause + length), (place + 1) * (pause + length)) for place in range(sentences)]


def _transcript(talk: str, sentences: int, sentence_s: float, rng: np.random.Generator) -> list[str]:
    lines = [f"{talk} 1 inter_segment_gap 0 0.20 <o,,unknown> ignore_time_segment_in_scoring"]
    for begin, end in _times(sentences, sentence_s):
        words = " ".join(rng.choice(_WORDS, size=4))
        lines.append(
            f"{talk} 1 {talk} {begin / 100:.2f} {end / 100:.2f} <o,f0,female> <unk> {words} it 's here"
        )
    return lines
