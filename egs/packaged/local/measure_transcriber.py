"""Word errors of a recogniser on real speech: clean, at 8 kHz, and with another voice below."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cse.audio import load_waveform, resample
from cse.errors import CseError
from cse.evaluation.statistics import bootstrap_of
from cse.evaluation.words import WordErrors, count_word_errors
from cse.manifest import Utterance, read_utterances
from cse.selection.transcriber import Transcriber
from cse.selection.transcribers import NAMES, load_transcriber
from simulate.mixing import mix

RATE_HZ = 16000
BELOW_DB = (8.0, 10.0)  # an interferer under the voice

Change = Callable[[np.ndarray, Utterance], np.ndarray]


def measure(transcriber: Transcriber, utterances: Sequence[Utterance], change: Change) -> str:
    """Row of a table: number, words, word error rate with its interval, processor seconds a second of speech."""
    errors: list[WordErrors] = []
    processor_s = audio_s = 0.0
    for utterance in tqdm(utterances, desc=transcriber.name, unit="utterance"):
        speech = change(load_waveform(utterance.audio, RATE_HZ), utterance)
        started = time.process_time()
        heard = transcriber.transcribe(speech, RATE_HZ).text
        processor_s += time.process_time() - started
        audio_s += len(speech) / RATE_HZ
        errors.append(count_word_errors(heard, utterance.text or ""))
    counts = np.array([(one.errors, one.reference_words) for one in errors], float)
    low, high = bootstrap_of(_rate, counts, seed=0) or (float("nan"), float("nan"))
    words, rate = counts[:, 1].sum(), _rate(counts)
    return f"{len(errors)} | {words:.0f} | {rate:.1%} [{low:.1%}, {high:.1%}] | {processor_s / audio_s:.3f}"


def changes(utterances: Sequence[Utterance], seed: int) -> Iterable[tuple[str, Change]]:
    """What is done to the speech, by name."""
    rng = random.Random(seed)

    def with_interferer(speech: np.ndarray, utterance: Utterance) -> np.ndarray:
        others = [one for one in utterances if one.speaker != utterance.speaker]
        other = np.resize(load_waveform(rng.choice(others).audio, RATE_HZ), len(speech))
        return mix([speech, other], [rng.uniform(*BELOW_DB)]).mixture

    yield "16 kHz", lambda speech, _: speech
    yield "8 kHz", lambda speech, _: resample(resample(speech, RATE_HZ, RATE_HZ // 2), RATE_HZ // 2, RATE_HZ)
    yield f"another voice {BELOW_DB[0]:g} to {BELOW_DB[1]:g} dB below", with_interferer


def _rate(counts: np.ndarray) -> float:
    return float(counts[:, 0].sum() / counts[:, 1].sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifests", type=Path, nargs="+", help="utterances with text, e.g. of egs/dailytalk")
    parser.add_argument("--split", help="only utterances of this split")
    parser.add_argument("--corpus", help="only utterances of this corpus")
    parser.add_argument("--limit", type=int, default=60, help="utterances, drawn (%(default)s)")
    parser.add_argument("--transcriber", default=NAMES[0], help="a name, folder or hf:// name (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    transcriber = load_transcriber(options.transcriber)
    found = [
        one
        for manifest in options.manifests
        for one in read_utterances(manifest, split=options.split)
        if one.text and options.corpus in (None, one.extra.get("corpus"))
    ]
    if not found:
        raise CseError(
            f"{options.manifests[0]}: got no utterance with text of this split and corpus, expected some"
        )
    chosen = random.Random(options.seed).sample(found, min(options.limit, len(found)))
    print("| speech | n | words | word errors | processor s a second |\n|---|---|---|---|---|")
    for name, change in changes(chosen, options.seed):
        print(f"| {name} | {measure(transcriber, chosen, change)} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
