"""Fit how much to trust text and voice: the calibration of the offline chooser, from training data only.

Text: turns of text dialogues that the scorer was not trained on, with made-up recognition errors (a word error rate of
up to 50 %, as of small neural recognisers). Voice: mixtures of two talkers as the separator takes them apart, by an
enrollment of one of them or of somebody else. One fifth is held out to say how good the fit is; then all is used.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from dialogues import read_dialogues, split
from recognition_errors import RecognitionErrors
from separated_voices import separated_voices
from tqdm import tqdm

from cse.encoders.ge2e import ResemblyzerEncoder
from cse.errors import CseError
from cse.evaluation.statistics import expected_calibration_error, wilson_interval
from cse.extractor import Extractor
from cse.files import write_text
from cse.history import Turn
from cse.manifest import read_utterances
from cse.selection.calibration import Calibration
from cse.selection.fitting import Example, fit
from cse.selection.next_turn import DEFAULT_SCORER, NextTurnScorer
from cse.selection.scorer import Scorer

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


class MadeUpErrors:
    """Words lost, put in and mistaken for similar ones, from none to half of them, with confidences to match."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._errors = RecognitionErrors(texts, **ERROR_SHARES)

    def hear(self, said: str, rng: random.Random) -> tuple[str, float]:
        """What is heard, and how many of its words are expected to be right."""
        heard = self._errors.hear(said, rng.uniform(0, MAX_ERROR_RATE), rng)
        confidences = [
            rng.betavariate(*(RIGHT_CONFIDENCE if right else WRONG_CONFIDENCE)) for _, right in heard
        ]
        return " ".join(word for word, _ in heard), sum(confidences)


def hear_dialogues(data: Path, per_corpus: int, rng: random.Random) -> list[Heard]:
    """One turn from each of some held-out dialogues of every corpus, as it might have been heard."""
    corpora = {corpus: split(own) for corpus, own in read_dialogues(data).items()}
    ear = MadeUpErrors(turn.text for own, _ in corpora.values() for one in own for turn in one.turns)
    result = []
    for corpus, (_, held_out) in corpora.items():
        for dialogue in rng.sample(held_out, min(per_corpus, len(held_out))):
            position = rng.randrange(1, len(dialogue.turns))
            text, words = ear.hear(dialogue.turns[position].text, rng)
            result.append(Heard(dialogue.id, corpus, list(dialogue.turns[:position]), text, words))
    return result


def text_examples(heard: Sequence[Heard], scorer: Scorer, rng: random.Random) -> list[Group]:
    """Three choices for each utterance: twice against another one, once between two others."""
    groups = []
    for own in tqdm(heard, desc="scoring", unit="history"):
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
    parser.add_argument("--scorer", default=DEFAULT_SCORER, help="name or folder (%(default)s)")
    parser.add_argument(
        "--model",
        help="separator that takes mixtures apart for the choice by voice (default: the packaged one)",
    )
    parser.add_argument("--mixtures", type=int, default=200, help="of these (%(default)s)")
    parser.add_argument("--absent-prior", type=float, default=0.1, help="share of recordings without target")
    parser.add_argument("--abstain-below", type=float, default=0.5, help="probability to rely on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    rng = random.Random(options.seed)
    utterances = read_utterances(options.data / "speech" / "utterances.jsonl", split="train")
    base = Calibration(absent_prior=options.absent_prior, abstain_below=options.abstain_below)
    scorer = NextTurnScorer(model=options.scorer)
    texts = {"text": text_examples(hear_dialogues(options.data, options.dialogues, rng), scorer, rng)}
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
