"""Make other evaluation sets of a mixtures.jsonl, without making other mixtures.

variants.py enrolled MANIFEST OUTPUT --utterances U    a new enrollment each: 3 to 5 s cut from another utterance
variants.py alone MANIFEST OUTPUT                      the target alone is the recording
variants.py absent MANIFEST OUTPUT --utterances U      nobody is meant: the history is of another dialogue
variants.py stranger-voice MANIFEST OUTPUT --utterances U    the enrollment is of somebody who is not in the recording
variants.py stranger-chat MANIFEST OUTPUT --data D           the history is one that nobody in the recording continues
variants.py joined MANIFEST MANIFEST OUTPUT            one set after the other
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from dialogues import Dialogue, read_dialogues, split

from cse.audio import load_waveform, write_audio
from cse.errors import CseError, ManifestError
from cse.manifest import Mixture, Utterance, read_mixtures, read_utterances, write_manifest

ENROLLMENT_S = (3.0, 5.0)
ENROLLMENT_RATE_HZ = 16_000
VARIANTS = ("enrolled", "alone", "absent", "stranger-voice", "stranger-chat", "joined")


def enrolled(mixtures: Sequence[Mixture], utterances: Sequence[Utterance], folder: Path) -> Iterator[Mixture]:
    """Cut an enrollment for each mixture; those whose speaker has no other utterance of 3 s are left out."""
    for mixture in mixtures:
        others = [
            one
            for one in utterances
            if one.speaker == mixture.target_speaker and one.id != mixture.extra["asked_id"]
        ]
        yield from _with_voice_of(others, mixture, folder)


def stranger_voice(
    mixtures: Sequence[Mixture], utterances: Sequence[Utterance], folder: Path
) -> Iterator[Mixture]:
    """Cut an enrollment of somebody who does not speak in the mixture: a wrong cue that points to nobody."""
    for mixture in mixtures:
        heard = {mixture.target_speaker, *mixture.extra["interferer_speakers"]}
        yield from _with_voice_of([one for one in utterances if one.speaker not in heard], mixture, folder)


def _with_voice_of(utterances: Sequence[Utterance], mixture: Mixture, folder: Path) -> Iterator[Mixture]:
    """The mixture with 3 to 5 s of one of the utterances; none where they are all too short."""
    least_s, most_s = ENROLLMENT_S
    long_enough = [one for one in utterances if one.duration_s >= least_s]
    if not long_enough:
        return
    rng = random_numbers(mixture)
    utterance = long_enough[rng.integers(len(long_enough))]
    waveform = load_waveform(utterance.audio, ENROLLMENT_RATE_HZ)
    samples = min(len(waveform), round(rng.uniform(least_s, most_s) * ENROLLMENT_RATE_HZ))
    begin = int(rng.integers(len(waveform) - samples + 1))
    path = folder / f"{mixture.id}.wav"
    folder.mkdir(parents=True, exist_ok=True)
    write_audio(path, waveform[begin : begin + samples], ENROLLMENT_RATE_HZ)
    yield replace(mixture, enrollment=path, extra={**mixture.extra, "enrollment_id": utterance.id})


def stranger_chat(mixtures: Sequence[Mixture], dialogues: Sequence[Dialogue]) -> Iterator[Mixture]:
    """The history of a conversation that nobody in the mixture continues, with as many turns."""
    for mixture in mixtures:
        rng = random_numbers(mixture)
        turns = max(1, len(mixture.history))
        long_enough = [one for one in dialogues if len(one.turns) > turns]
        if long_enough:
            other = long_enough[rng.integers(len(long_enough))]
            yield replace(mixture, history=other.turns[:turns], target_speaker=other.turns[turns].speaker)


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


def held_out(data: Path) -> list[Dialogue]:
    """DailyTalk's text dialogues that no scorer was trained on, without those that have recordings."""
    return split(read_dialogues(data)["dailytalk"])[1]


def random_numbers(mixture: Mixture) -> np.random.Generator:
    """The same for the same mixture, whichever others are in the set."""
    return np.random.default_rng(zlib.crc32(mixture.id.encode()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST", help="mixtures.jsonl")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="manifest to write")
    parser.add_argument("--utterances", type=Path, help="utterances.jsonl that the mixtures were made of")
    parser.add_argument("--split", help="only utterances of this split")
    parser.add_argument("--data", type=Path, help="folder with dialogues/, of which those held out are taken")
    options = parser.parse_args()
    if options.variant == "stranger-chat" and options.data is None:
        parser.error(f"{options.variant}: give the folder of the text dialogues as --data")
    if options.variant in ("enrolled", "absent", "stranger-voice") and options.utterances is None:
        parser.error(f"{options.variant}: give the manifest of utterances as --utterances")

    mixtures = [one for path in options.manifests for one in read_mixtures(path)]
    utterances = read_utterances(options.utterances, split=options.split) if options.utterances else []
    folder = options.output.parent / options.output.stem
    made = {
        "enrolled": lambda: enrolled(mixtures, utterances, folder),
        "alone": lambda: alone(mixtures),
        "absent": lambda: absent(mixtures, utterances),
        "stranger-voice": lambda: stranger_voice(mixtures, utterances, folder),
        "stranger-chat": lambda: stranger_chat(mixtures, held_out(options.data)),
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
