"""Stage 0 of the mini recipe: makes up dialogues on everyday topics and has flite speak them.

No sentence occurs twice in the corpus, the dev and test dialogues use sentence frames that training never sees
(topics.yaml), and every split has its own talkers.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml
from tqdm import tqdm

from cse.audio import read_audio
from cse.errors import CseError
from cse.history import Turn
from cse.manifest import Utterance, write_manifest
from cse.testing.flite import speak

SAMPLE_RATE = 16000
TOPICS = Path(__file__).parent / "topics.yaml"


@dataclass(frozen=True)
class Talker:
    """A voice of flite, made larger or smaller (pitch) and slower or faster (rate)."""

    voice: str
    pitch: float
    rate: float

    @property
    def name(self) -> str:
        """Such as ``slt-p092-r110``."""
        return f"{self.voice}-p{round(100 * self.pitch):03d}-r{round(100 * self.rate):03d}"


# Test talkers lie between the training talkers in pitch. kal16 is heard in training only, because speech
# recognisers misread it: a wrong transcript of it would say nothing about the extraction.
VOICES = ("slt", "rms", "awb")
TALKERS = {
    "train": [
        *(Talker(v, p, r) for v in VOICES for p, r in ((0.84, 1.0), (0.92, 1.1), (1.0, 0.9), (1.08, 1.0))),
        *(Talker(v, 1.16, 1.1) for v in VOICES),
        *(Talker("kal16", p, 1.0) for p in (0.9, 1.0, 1.1)),
    ],
    "dev": [Talker(v, p, r) for v in VOICES for p, r in ((0.88, 1.05), (1.04, 0.95))],
    "test": [Talker(v, p, r) for v in VOICES for p, r in ((0.96, 1.05), (1.12, 0.95))],
}


@dataclass(frozen=True)
class SpokenTurn:
    """One turn of a generated dialogue and who speaks it."""

    dialogue: str
    number: int
    split: str
    topic: str
    talker: Talker
    text: str
    history: tuple[Turn, ...]

    def audio(self, folder: Path) -> Path:
        """Where its recording lies; the name changes with words and voice: a rerun never mixes versions."""
        digest = hashlib.sha256(f"{self.talker.name} {self.text}".encode()).hexdigest()[:8]
        return folder / "audio" / self.split / f"{self.dialogue}-{self.number:02d}-{digest}.flac"


def generate(counts: dict[str, int], seed: int) -> Iterator[SpokenTurn]:
    """Yield the turns of ``counts[split]`` dialogues per split, no sentence twice."""
    content = yaml.safe_load(TOPICS.read_text(encoding="utf-8"))
    rng = random.Random(seed)
    used: set[str] = set()
    for split, count in counts.items():
        frames = content["frames"]["train" if split == "train" else "held_out"]
        for index in range(count):
            topic = sorted(content["topics"])[index % len(content["topics"])]
            texts = write_dialogue(content["topics"][topic], frames, used, rng)
            pair = rng.sample(TALKERS[split], 2)
            history: tuple[Turn, ...] = ()
            for number, text in enumerate(texts):
                talker = pair[number % 2]
                yield SpokenTurn(f"{split}-{topic}-{index:03d}", number, split, topic, talker, text, history)
                history = (*history, Turn(text, talker.name))


def write_dialogue(
    words: dict[str, list[str]], frames: dict[str, list[str]], used: set[str], rng: random.Random
) -> list[str]:
    """Write 6 to 8 sentences, question and answer in turns, that are all new, and add them to `used`."""
    texts = []
    for number in range(rng.randint(6, 8)):
        if number % 2 == 0:
            thing = rng.choice(words["thing"])
        texts.append(write_sentence(words, thing, frames["answer" if number % 2 else "ask"], used, rng))
        used.add(texts[-1])
    return texts


def write_sentence(
    words: dict[str, list[str]], thing: str, frames: list[str], used: set[str], rng: random.Random
) -> str:
    """Fill frames with words of a topic until a sentence about `thing` comes out that is new."""
    for _ in range(1000):
        text = rng.choice(frames).format(
            thing=thing,
            other=rng.choice([word for word in words["thing"] if word != thing]),
            person=rng.choice(words["person"]),
            place=rng.choice(words["place"]),
        )
        if text not in used:
            return text
    raise CseError(
        f"{TOPICS.name} has no new sentences left about {thing}: ask for fewer dialogues, or add words or frames"
    )


def record(turn: SpokenTurn, folder: Path) -> Utterance:
    """Have flite speak a turn, unless an earlier run did."""
    path = turn.audio(folder)
    if path.is_file():
        duration_s = read_audio(path).duration_s
    else:
        talker = turn.talker
        duration_s = speak(
            turn.text, path, voice=talker.voice, rate=talker.rate, pitch=talker.pitch, sample_rate=SAMPLE_RATE
        )
    return Utterance(
        id=f"{turn.dialogue}-{turn.number:02d}",
        audio=path.resolve(),
        speaker=turn.talker.name,
        duration_s=round(duration_s, 4),
        sample_rate=SAMPLE_RATE,
        text=turn.text,
        dialogue=turn.dialogue,
        history=turn.history,
        split=turn.split,
        extra={"topic": turn.topic},
    )


def main() -> int:
    """Write the corpus into --output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of utterances.jsonl and audio/")
    parser.add_argument("--train", type=int, required=True, help="training dialogues (of 7 turns on average)")
    parser.add_argument("--dev", type=int, required=True, help="dev dialogues")
    parser.add_argument("--test", type=int, required=True, help="test dialogues")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="synthesisers at a time")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        turns = list(generate({"train": args.train, "dev": args.dev, "test": args.test}, args.seed))
        for split in TALKERS:
            (args.output / "audio" / split).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(args.jobs) as pool:
            spoken = pool.map(lambda turn: record(turn, args.output), turns)
            utterances = list(tqdm(spoken, total=len(turns), desc="speak", unit="utterance"))
        write_manifest(args.output / "utterances.jsonl", utterances)
    except CseError as error:
        print(f"prepare.py: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
