"""What pocketsphinx hears of the training speech, and the same errors on text that nobody spoke."""

from __future__ import annotations

import difflib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from cse.audio import load_waveform
from cse.manifest import Utterance, read_utterances
from cse.selection.sphinx import PocketSphinxTranscriber

RATE_HZ = 16000

Words = list[tuple[str, float]]


@dataclass
class Recogniser:
    """Makes the errors of pocketsphinx on text that nobody spoke."""

    right: list[float] = field(default_factory=list)  # confidences of words that were right
    wrong: list[tuple[str, float]] = field(
        default_factory=list
    )  # words that were not said, and their confidences

    def learn(self, said: str, heard: Sequence[tuple[str, float]]) -> None:
        matcher = difflib.SequenceMatcher(
            None, said.lower().split(), [word for word, _ in heard], autojunk=False
        )
        matched = {block.b + step for block in matcher.get_matching_blocks() for step in range(block.size)}
        for position, (word, confidence) in enumerate(heard):
            if position in matched:
                self.right.append(confidence)
            else:
                self.wrong.append((word, confidence))

    @property
    def share_wrong(self) -> float:
        """How many of the recognised words were not said."""
        return len(self.wrong) / max(1, len(self.right) + len(self.wrong))

    def hear(self, said: str, rng: random.Random) -> Words:
        """The words of a text with their confidences; as many are wrong as in the speech that it learned from."""
        return [
            rng.choice(self.wrong) if rng.random() < self.share_wrong else (word, rng.choice(self.right))
            for word in said.lower().split()
        ]


def spoken_after_history(data: Path) -> list[Utterance]:
    """The LibriSpeech utterances of split train that have a text and sentences before them."""
    utterances = read_utterances(data / "speech" / "utterances.jsonl", split="train")
    return [
        one for one in utterances if one.history and one.text and one.extra.get("corpus") == "librispeech"
    ]


def hear_speech(utterances: Iterable[Utterance], cache: Path, recogniser: Recogniser) -> list[Words]:
    """Transcribe the first 1.5 to 8 s of each utterance; what `cache` holds from an earlier run is not done again."""
    transcriber = PocketSphinxTranscriber()
    lines = cache.read_text(encoding="utf-8").splitlines() if cache.exists() else []
    known: dict[str, Words] = {entry["id"]: entry["words"] for entry in map(json.loads, lines)}
    with cache.open("a", encoding="utf-8") as file:
        for utterance in tqdm(list(utterances), desc="transcribing", unit="utterance"):
            if utterance.id not in known:
                duration_s = random.Random(utterance.id).uniform(1.5, 8.0)
                waveform = load_waveform(utterance.audio, RATE_HZ)[: round(duration_s * RATE_HZ)]
                transcript = transcriber.transcribe(waveform, RATE_HZ)
                known[utterance.id] = [(word.text, word.confidence) for word in transcript.words]
                file.write(json.dumps({"id": utterance.id, "words": known[utterance.id]}) + "\n")
                file.flush()
            recogniser.learn(utterance.text or "", known[utterance.id])
    return [known[utterance.id] for utterance in utterances]
