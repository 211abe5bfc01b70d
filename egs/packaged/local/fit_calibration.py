"""Fit how much to trust text and voice: the calibration of the offline chooser, from training data only.

Text: what pocketsphinx hears of LibriSpeech utterances (split train), after the sentences before them; and turns of
text dialogues that no scorer was trained on, with recognition errors as often, as confident and as wrong as in that
speech. Voice: utterances of one talker, with a residue of another one as separation leaves it. Every choice is
between two voices, and in a third of them neither is right. One fifth of the choices is held out to say how good the
fit is; then everything is used.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from dialogues import read_dialogues
from recogniser import Recogniser, Words, hear_speech, spoken_after_history
from tqdm import tqdm

from cse.audio import load_waveform
from cse.errors import CseError
from cse.evaluation.statistics import expected_calibration_error, wilson_interval
from cse.files import write_text
from cse.history import Turn
from cse.manifest import Utterance, read_utterances
from cse.selection.calibration import Calibration
from cse.selection.fitting import Example, fit
from cse.selection.ge2e import ResemblyzerEncoder
from cse.selection.minilm import MiniLMScorer
from cse.selection.response import ResponseScorer
from cse.selection.scorer import Scorer
from cse.selection.sentences import SentenceEncoder

RATE_HZ = 16000
PAIRS: tuple[tuple[int | None, list[int]], ...] = ((0, [0, 1]), (0, [0, 2]), (None, [3, 4]))
"""Which of the voices (the right one first, then four others) meet in a choice, and which of the two is right."""

ABSENT_SHARE = 1 / 3  # of these choices; how often it is in use is another matter (--absent-prior)

Group = list[Example]


@dataclass(frozen=True)
class Heard:
    """What a recogniser made of one utterance or turn."""

    owner: str  # talker or dialogue; others are drawn from different ones
    history: list[Turn]
    text: str
    words: float


def heard(owner: str, history: Sequence[Turn], words: Words) -> Heard:
    text = " ".join(word for word, _ in words)
    return Heard(owner, list(history), text, sum(confidence for _, confidence in words))


def hear_dialogues(folder: Path, max_turns: int, recogniser: Recogniser, rng: random.Random) -> list[Heard]:
    """One turn of each dialogue that was held out from training, as the recogniser might have heard it."""
    corpora = read_dialogues(folder, held_out=True, max_turns=max_turns, rng=rng)
    result = []
    for number, turns in enumerate(chain(*corpora.values())):
        position = rng.randrange(1, len(turns))
        words = recogniser.hear(turns[position].text, rng)
        result.append(heard(str(number), turns[:position], words))
    return result


def text_examples(pool: Sequence[Heard], scorer: Scorer, rng: random.Random, desc: str) -> list[Group]:
    """Three choices for each utterance: twice against another one, once between two others."""
    groups = []
    for own in tqdm(pool, desc=desc, unit="history"):
        others = rng.sample([one for one in pool if one.owner != own.owner], 4)
        voices = [own, *others]
        scores = scorer.score(own.history, [one.text for one in voices])
        words = np.array([one.words for one in voices])
        groups.append(
            [Example(right=right, text_scores=scores[pair], words=words[pair]) for right, pair in PAIRS]
        )
    return groups


def voice_examples(utterances: Sequence[Utterance], talkers: int, rng: random.Random) -> list[Group]:
    """Three choices for each talker, by an enrollment of 2 to 5 s: twice against another talker, once between two."""
    encoder = ResemblyzerEncoder()
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    several = sorted(speaker for speaker, own in by_speaker.items() if len(own) > 1)
    groups = []
    for speaker in tqdm(
        rng.sample(several, min(talkers, len(several))), desc="comparing voices", unit="talker"
    ):
        first, second = rng.sample(by_speaker[speaker], 2)
        corpus = first.extra.get("corpus")
        alike = [one for one in utterances if one.speaker != speaker and one.extra.get("corpus") == corpus]
        others = rng.sample(alike, 4)
        enrollment = encoder.embed(_crop(first, rng), RATE_HZ)
        cosines = []
        for utterance, residue in zip([second, *others], [*others, second], strict=True):
            voice = _with_residue(_crop(utterance, rng), _crop(residue, rng), rng.uniform(10, 25))
            cosines.append(float(encoder.embed(voice, RATE_HZ) @ enrollment))
        groups.append([Example(right=right, voice_scores=np.array(cosines)[pair]) for right, pair in PAIRS])
    return groups


def _crop(utterance: Utterance, rng: random.Random) -> np.ndarray:
    return load_waveform(utterance.audio, RATE_HZ)[: round(rng.uniform(2, 5) * RATE_HZ)]


def _with_residue(voice: np.ndarray, other: np.ndarray, down_db: float) -> np.ndarray:
    residue = np.resize(other, len(voice))
    gain = np.sqrt(np.mean(np.square(voice)) / max(float(np.mean(np.square(residue))), 1e-12)) * 10 ** (
        -down_db / 20
    )
    return voice + np.float32(gain) * residue


def fit_and_report(parts: dict[str, list[Group]], base: Calibration, **source: str) -> Calibration:
    """Fit on four fifths of the groups, say how each part does on the rest, fit on everything."""
    rest = [group for groups in parts.values() for number, group in enumerate(groups) if number % 5]
    calibration = replace(fit(list(chain(*rest)), base=base, **source), absent_prior=ABSENT_SHARE)
    for name, groups in parts.items():
        probabilities, right, hits = [], [], []
        for example in chain(*groups[::5]):
            choice = calibration.choose(
                [True, True],
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
        "--turns", type=int, default=3000, help="most turns of the dialogues of each corpus (%(default)s)"
    )
    parser.add_argument("--talkers", type=int, default=300, help="talkers to compare (%(default)s)")
    parser.add_argument(
        "--limit", type=int, help="utterances to transcribe (default: all that have a history)"
    )
    parser.add_argument("--absent-prior", type=float, default=0.1, help="share of recordings without target")
    parser.add_argument("--abstain-below", type=float, default=0.5, help="probability to rely on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    rng = random.Random(options.seed)
    utterances = read_utterances(options.data / "speech" / "utterances.jsonl", split="train")
    calibration = Calibration(absent_prior=options.absent_prior, abstain_below=options.abstain_below)
    recogniser, encoder = Recogniser(), SentenceEncoder(cache_size=50_000)
    spoken = spoken_after_history(options.data)
    transcripts = hear_speech(spoken, options.transcripts, recogniser)
    print(f"{len(spoken)} utterances transcribed, {recogniser.share_wrong:.0%} of the words wrong")
    speech = [heard(one.speaker, one.history, words) for one, words in zip(spoken, transcripts, strict=True)]
    dialogues = hear_dialogues(options.data / "dialogues", options.turns, recogniser, rng)
    for scorer in (MiniLMScorer(encoder=encoder), ResponseScorer(encoder=encoder, head=options.head)):
        texts = {
            f"{scorer.name}, transcripts of speech": text_examples(
                speech, scorer, rng, "scoring transcripts"
            ),
            f"{scorer.name}, text dialogues": text_examples(dialogues, scorer, rng, "scoring dialogues"),
        }
        calibration = fit_and_report(texts, calibration, scorer=scorer.name)
    voices = {"voices": voice_examples(utterances, options.talkers, rng)}
    calibration = fit_and_report(voices, calibration, voice_encoder=ResemblyzerEncoder.name)
    write_text(options.output, json.dumps(calibration.to_dict(), indent=2) + "\n")
    print(options.output)


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
