"""Make other evaluation sets of a mixtures.jsonl, without making other mixtures.

variants.py enrolled MANIFEST OUTPUT --utterances U    a new enrollment each: 3 to 5 s cut from another utterance
variants.py alone MANIFEST OUTPUT                      the target alone is the recording
variants.py absent MANIFEST OUTPUT --utterances U      nobody is meant: the history is of another dialogue
variants.py joined MANIFEST MANIFEST OUTPUT            one set after the other
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cse.audio import load_waveform, write_audio
from cse.errors import CseError, ManifestError
from cse.manifest import Mixture, Utterance, read_mixtures, read_utterances, write_manifest

ENROLLMENT_S = (3.0, 5.0)
ENROLLMENT_RATE_HZ = 16_000


def enrolled(mixtures: Sequence[Mixture], utterances: Sequence[Utterance], folder: Path) -> Iterator[Mixture]:
    """Cut an enrollment for each mixture; those whose speaker has no other utterance of 3 s are left out."""
    least_s, most_s = ENROLLMENT_S
    folder.mkdir(parents=True, exist_ok=True)
    for mixture in mixtures:
        rng = random_numbers(mixture)
        others = [
            one
            for one in utterances
            if one.speaker == mixture.target_speaker
            and one.id != mixture.extra["asked_id"]
            and one.duration_s >= least_s
        ]
        if not others:
            continue
        utterance = others[rng.integers(len(others))]
        waveform = load_waveform(utterance.audio, ENROLLMENT_RATE_HZ)
        samples = min(len(waveform), round(rng.uniform(least_s, most_s) * ENROLLMENT_RATE_HZ))
        begin = int(rng.integers(len(waveform) - samples + 1))
        path = folder / f"{mixture.id}.wav"
        write_audio(path, waveform[begin : begin + samples], ENROLLMENT_RATE_HZ)
        yield replace(mixture, enrollment=path)


def alone(mixtures: Sequence[Mixture]) -> Iterator[Mixture]:
    """The target is all there is to hear."""
    for mixture in mixtures:
        if mixture.target is not None:
            yield replace(
                mixture, mixture=mixture.target, interferers=(), noise=None, interferer_texts=(), snr_db=()
            )


def absent(mixtures: Sequence[Mixture], utterances: Sequence[Utterance]) -> Iterator[Mixture]:
    """Both talkers are of a dialogue whose history was not given; the one that was given is as long as theirs."""
    for mixture in mixtures:
        assert mixture.target is not None
        least = min(len(mixture.history), 2)
        others = [
            one
            for one in utterances
            if one.dialogue != mixture.extra["dialogue"] and len(one.history) >= least
        ]
        asked = others[random_numbers(mixture).integers(len(others))]
        yield replace(
            mixture,
            id=f"absent-{mixture.id}",
            target=None,
            interferers=(mixture.target, *mixture.interferers),
            interferer_texts=(mixture.target_text, *mixture.interferer_texts),
            history=asked.history,
            target_speaker=asked.speaker,
            target_text=None,
            enrollment=None,
            extra={**mixture.extra, "target_id": None, "asked_id": asked.id, "dialogue": asked.dialogue},
        )


def random_numbers(mixture: Mixture) -> np.random.Generator:
    """The same for the same mixture, whichever others are in the set."""
    return np.random.default_rng(zlib.crc32(mixture.id.encode()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variant", choices=("enrolled", "alone", "absent", "joined"))
    parser.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST", help="mixtures.jsonl")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="manifest to write")
    parser.add_argument("--utterances", type=Path, help="utterances.jsonl that the mixtures were made of")
    options = parser.parse_args()
    if options.variant in ("enrolled", "absent") and options.utterances is None:
        parser.error(f"{options.variant}: give the manifest of utterances as --utterances")

    mixtures = [one for path in options.manifests for one in read_mixtures(path)]
    utterances = read_utterances(options.utterances) if options.utterances else []
    made = {
        "enrolled": lambda: enrolled(mixtures, utterances, options.output.parent / options.output.stem),
        "alone": lambda: alone(mixtures),
        "absent": lambda: absent(mixtures, utterances),
        "joined": lambda: mixtures,
    }[options.variant]
    records = list(made())
    if not records:
        raise ManifestError(f"{options.output}: none of {len(mixtures)} mixtures has this variant")
    write_manifest(options.output, records)
    print(f"{options.output}: {len(records)} of {len(mixtures)} mixtures")


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
