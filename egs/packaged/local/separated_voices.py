"""Choices by voice as they come in use: talkers of the training split are mixed, taken apart, and compared."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
from tqdm import tqdm

from cse.audio import Recording, load_waveform
from cse.extractor import Extractor
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.manifest import Utterance
from cse.selection.fitting import Example
from cse.training.losses import neg_si_snr
from simulate.mixing import mix, sample_snr_db

RATE_HZ = 16000
MAX_S = 8.0  # of a voice in a mixture
ENROLLMENT_S = (3.0, 5.0)


def separated_voices(
    extractor: Extractor, utterances: Sequence[Utterance], *, mixtures: int, rng: random.Random
) -> list[list[Example]]:
    """For each mixture of two talkers of a corpus a choice by an enrollment of one, and by that of somebody else.

    Args:
        extractor: Takes them apart and compares voices, by the model whose calibration is fitted.
        utterances: Of the training split; a talker with one utterance is never the target.
        mixtures: How many; those in which only one voice is found have no choice.
        rng: Decides.
    """
    method = extractor.method
    assert isinstance(method, SeparateThenChoose)
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    several = sorted(speaker for speaker, own in by_speaker.items() if len(own) > 1)
    levels = np.random.default_rng(rng.getrandbits(32))
    groups = []
    for _ in tqdm(range(mixtures), desc="separating", unit="mixture"):
        wanted, enrolled = rng.sample(by_speaker[rng.choice(several)], 2)
        corpus = wanted.extra.get("corpus")
        alike = [
            one for one in utterances if one.speaker != wanted.speaker and one.extra.get("corpus") == corpus
        ]
        other, stranger = rng.sample(alike, 2)
        mixed = mix([_read(wanted), _read(other)], [sample_snr_db(levels)])
        outcome = method.extract(
            mixed.mixture, None, enrollment=_enrollment(enrolled, rng), target=None, should_stop=None
        )
        if outcome.is_recording or stranger.speaker == other.speaker:
            continue
        by_stranger = method.chooser.choose(
            outcome.voices, method.sample_rate, None, enrollment=_enrollment(stranger, rng)
        )
        target = torch.from_numpy(mixed.sources[:1])
        right = min(
            range(len(outcome.voices)),
            key=lambda number: float(neg_si_snr(torch.from_numpy(outcome.voices[number])[None], target)),
        )
        groups.append(
            [
                Example(right=right, voice_scores=outcome.choice.voice_scores),
                Example(right=None, voice_scores=by_stranger.voice_scores),
            ]
        )
    return groups


def _read(utterance: Utterance) -> np.ndarray:
    return load_waveform(utterance.audio, RATE_HZ)[: round(MAX_S * RATE_HZ)]


def _enrollment(utterance: Utterance, rng: random.Random) -> Recording:
    samples = round(rng.uniform(*ENROLLMENT_S) * RATE_HZ)
    return Recording(load_waveform(utterance.audio, RATE_HZ)[:samples], RATE_HZ, utterance.id)
