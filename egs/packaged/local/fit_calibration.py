"""Fit how much to trust text and voice: the calibration of the offline chooser, from training data only.

Text: turns of text dialogues that the scorer was not trained on, with recognition errors. These are made up (a word
error rate of up to 50 %, as of small neural recognisers), or as often, as confident and as wrong as those of
pocketsphinx in LibriSpeech utterances (split train); then its transcripts of these, after the sentences before them,
are used too. Voice: mixtures of two talkers as the separator takes them apart, by an enrollment of one of them or of
somebody else. One fifth is held out to say how good the fit is; then everything is used.
"""

from __future__ import annotations

import argparse
import difflib
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
from dialogues import read_dialogues, split
from recognition_errors import RecognitionErrors
from separated_voices import separated_voices
from tqdm import tqdm

from cse.audio import load_waveform
from cse.encoders.ge2e import ResemblyzerEncoder
from cse.errors import CseError
from cse.evaluation.statistics import expected_calibration_error, wilson_interval
from cse.extractor import Extractor
from cse.files import write_text
from cse.history import Turn
from cse.manifest import Utterance, read_utterances
from cse.selection.calibration import Calibration
from cse.selection.fitting import Example, fit
from cse.selection.minilm import MiniLMScorer
from cse.selection.next_turn import NextTurnScorer
from cse.selection.scorer import Scorer
from cse.selection.sphinx import PocketSphinxTranscriber

RATE_HZ = 16000
SCORERS: dict[str, Callable[[], Scorer]] = {"next-turn": NextTurnScorer, "minilm": MiniLMScorer}
MAX_ERROR_RATE = 0.5
RIGHT_CONFIDENCE, WRONG_CONFIDENCE = (1.82, 0.52), (1.06, 2.07)
"""Beta distributions of a recogniser's confidence in words that were said, and that were not: Moonshine tiny's on
utterances of LibriSpeech and speechocean762 (split train), alone and with an interferer 6 to 12 dB below."""

ERROR_SHARES = {"substituted": 0.70, "deleted": 0.07, "inserted": 0.23}  # of the same

PAIRS: tuple[tuple[int | None, list[int]], ...] = ((0, [0, 1]), (0, [0, 2]), (None, [3, 4]))
"""Which of the voices (the right one first, then four others) meet in a choice, and which of the two is right."""

ABSENT_SHARE = 1 / 3  # of these choices; how often it is in use is another matter (--absent-prior)

Group = list[Example]


@dataclass(frozen=True)
class Heard:
    """What a recogniser made of one utterance or turn."""

    owner: str  # talker or dialogue; others are drawn from different ones
    corpus: str  # and from the same corpus: talk of another kind would be told apart too easily
    history: list[Turn]
    text: str
    words: float


class Ear(Protocol):
    """Makes recognition errors on text that nobody spoke: what is heard, and how many words are expected right."""

    def hear(self, said: str, rng: random.Random) -> tuple[str, float]: ...


class MadeUpErrors:
    """Words lost, put in and mistaken for similar ones, from none to half of them, with confidences to match."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._errors = RecognitionErrors(texts, **ERROR_SHARES)

    def hear(self, said: str, rng: random.Random) -> tuple[str, float]:
        heard = self._errors.hear(said, rng.uniform(0, MAX_ERROR_RATE), rng)
        confidences = [
            rng.betavariate(*(RIGHT_CONFIDENCE if right else WRONG_CONFIDENCE)) for _, right in heard
        ]
        return " ".join(word for word, _ in heard), sum(confidences)


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

    def hear(self, said: str, rng: random.Random) -> tuple[str, float]:
        share_right = len(self.right) / (len(self.right) + len(self.wrong))
        words = said.lower().split()
        heard = [
            (word, rng.choice(self.right)) if rng.random() < share_right else rng.choice(self.wrong)
            for word in words
        ]
        return " ".join(word for word, _ in heard), sum(confidence for _, confidence in heard)


def hear_speech(utterances: Iterable[Utterance], cache: Path, recogniser: Recogniser) -> list[Heard]:
    """Transcribe the first 1.5 to 8 s of each utterance; what `cache` holds from an earlier run is not done again."""
    transcriber = PocketSphinxTranscriber()
    lines = cache.read_text(encoding="utf-8").splitlines() if cache.exists() else []
    known = {entry["id"]: entry["words"] for entry in map(json.loads, lines)}
    result = []
    with cache.open("a", encoding="utf-8") as file:
        for utterance in tqdm(list(utterances), desc="transcribing", unit="utterance"):
            if utterance.id not in known:
                duration_s = random.Random(utterance.id).uniform(1.5, 8.0)
                waveform = load_waveform(utterance.audio, RATE_HZ)[: round(duration_s * RATE_HZ)]
                transcript = transcriber.transcribe(waveform, RATE_HZ)
                known[utterance.id] = [(word.text, word.confidence) for word in transcript.words]
                file.write(json.dumps({"id": utterance.id, "words": known[utterance.id]}) + "\n")
                file.flush()
            words = known[utterance.id]
            recogniser.learn(utterance.text or "", words)
            text, expected = " ".join(word for word, _ in words), sum(confidence for _, confidence in words)
            result.append(Heard(utterance.speaker, "speech", list(utterance.history), text, expected))
    return result


def hear_dialogues(data: Path, per_corpus: int, ear: Ear | None, rng: random.Random) -> list[Heard]:
    """One turn from each of some held-out dialogues of every corpus, as it might have been heard."""
    corpora = {corpus: split(own) for corpus, own in read_dialogues(data).items()}
    if ear is None:
        ear = MadeUpErrors(turn.text for own, _ in corpora.values() for one in own for turn in one.turns)
    result = []
    for corpus, (_, held_out) in corpora.items():
        for dialogue in rng.sample(held_out, min(per_corpus, len(held_out))):
            position = rng.randrange(1, len(dialogue.turns))
            text, words = ear.hear(dialogue.turns[position].text, rng)
            result.append(Heard(dialogue.id, corpus, list(dialogue.turns[:position]), text, words))
    return result


def text_examples(heard: Sequence[Heard], scorer: Scorer, rng: random.Random, desc: str) -> list[Group]:
    """Three choices for each utterance: twice against another one, once between two others."""
    groups = []
    for own in tqdm(heard, desc=desc, unit="history"):
        others = rng.sample([one for one in heard if one.owner != own.owner and one.corpus == own.corpus], 4)
        voices = [own, *others]
        scores = scorer.score(own.history, [one.text for one in voices])
        words = np.array([one.words for one in voices])
        groups.append(
            [Example(right=right, text_scores=scores[pair], words=words[pair]) for right, pair in PAIRS]
        )
    return groups


def fit_and_report(parts: dict[str, list[Group]], base: Calibration, **source: str) -> Calibration:
    """Fit on four fifths of the groups, say how each part does on the rest, fit on everything."""
    rest = [group for groups in parts.values() for number, group in enumerate(groups) if number % 5]
    calibration = replace(fit(list(chain(*rest)), base=base, **source), absent_prior=ABSENT_SHARE)
    for name, groups in parts.items():
        probabilities, right, hits = [], [], []
        for example in chain(*groups[::5]):
            choice = calibration.choose(
                [True] * example.talkers,
                text_scores=example.text_scores,
                words=example.words,
                voice_scores=example.voice_scores,
                **source,
            )
            probabilities.append(float(choice.probabilities[choice.index]))
            right.append(choice.index == example.right)
            if example.right is not None:
                hits.append(choice.index == example.right)
        low, high = wilson_interval(sum(hits), len(hits))
        print(
            f"{name}: {sum(hits)} of {len(hits)} held-out choices are right ({np.mean(hits):.1%}, 95 % interval "
            f"{low:.1%} to {high:.1%}); calibration error {expected_calibration_error(probabilities, right):.3f}"
        )
    return fit(list(chain(*chain(*parts.values()))), base=base, **source)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with speech/utterances.jsonl and dialogues/"
    )
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument(
        "--dialogues", type=int, default=250, help="text dialogues of each corpus (%(default)s)"
    )
    parser.add_argument("--scorer", choices=SCORERS, default="next-turn", help="(%(default)s)")
    parser.add_argument(
        "--errors", choices=("made-up", "pocketsphinx"), default="made-up", help="in the text (%(default)s)"
    )
    parser.add_argument(
        "--model",
        help="separator that takes mixtures apart for the choice by voice (default: the packaged one)",
    )
    parser.add_argument("--mixtures", type=int, default=200, help="of these (%(default)s)")
    parser.add_argument(
        "--limit",
        type=int,
        help="utterances that pocketsphinx transcribes (default: all that have a history)",
    )
    parser.add_argument("--absent-prior", type=float, default=0.1, help="share of recordings without target")
    parser.add_argument("--abstain-below", type=float, default=0.5, help="probability to rely on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    rng = random.Random(options.seed)
    utterances = read_utterances(options.data / "speech" / "utterances.jsonl", split="train")
    base = Calibration(absent_prior=options.absent_prior, abstain_below=options.abstain_below)
    scorer, ear, texts = SCORERS[options.scorer](), None, {}
    if options.errors == "pocketsphinx":
        ear = Recogniser()
        spoken = [
            one for one in utterances if one.history and one.text and one.extra.get("corpus") == "librispeech"
        ]
        cache = options.output.with_suffix(".transcripts.jsonl")
        heard = hear_speech(spoken[: options.limit], cache, ear)
        share = len(ear.wrong) / max(1, len(ear.right) + len(ear.wrong))
        print(f"{len(heard)} utterances transcribed, {share:.0%} of the words wrong")
        texts["transcripts of speech"] = text_examples(heard, scorer, rng, "scoring transcripts")
    written = hear_dialogues(options.data, options.dialogues, ear, rng)
    texts["text dialogues"] = text_examples(written, scorer, rng, "scoring dialogues")
    calibration = fit_and_report(texts, base, scorer=scorer.name)
    extractor = Extractor.from_pretrained(options.model)
    voices = {"voices": separated_voices(extractor, utterances, mixtures=options.mixtures, rng=rng)}
    calibration = fit_and_report(voices, calibration, voice_encoder=ResemblyzerEncoder.name)
    write_text(options.output, json.dumps(calibration.to_dict(), indent=2) + "\n")
    print(options.output)


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
