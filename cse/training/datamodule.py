"""From manifests of utterances to batches of mixtures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile

from cse.corpora.leaks import Disjoint, check_leaks, find_leaks
from cse.errors import ConfigError, ManifestError
from cse.manifest import Utterance, read_utterances
from cse.training.mixture_data import MixtureData, digest
from cse.training.mixtures import MixingConfig, Mixtures
from cse.training.waveform_cache import WaveformCache
from simulate.bank import SETTINGS as BANK_SETTINGS

_AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


class DynamicMixingData(MixtureData):
    """Endless new training mixtures and a fixed set of validation mixtures, of the kind that `mixing` makes.

    Args:
        utterances: Manifest of utterances, or several.
        cache_dir: Folder for decoded audio (two bytes a sample).
        mixing: How training mixtures are made: `MixingConfig` without cues, `DialogueConfig` with them.
        sample_rate: Rate in Hz of the mixtures.
        batch_size: Mixtures a step and process.
        steps_per_epoch: Steps between two validations.
        train_split: Utterances to train on, by their `split`.
        validation_split: Utterances to validate on.
        disjoint: What the splits must not share: speakers (nor dialogues, nor audio), or dialogues (nor audio), where
            the same people talk in both.
        validation_mixtures: Number of validation mixtures, over all processes.
        validation_segment_s: Their length in seconds.
        noise: Folder of ambient noise (searched with its subfolders), or None. A tenth of the recordings, by their
            names, is kept for validation.
        seed: Of all mixtures.
        workers: Data-loader processes; 0 makes mixtures in the training process.

    Raises:
        ConfigError: Options that do not go together, or a number that is too small.
        ManifestError: No utterances or noise, or people, dialogues or audio in both splits.
    """

    def __init__(
        self,
        *,
        utterances: tuple[Path, ...],
        cache_dir: Path,
        mixing: MixingConfig,
        sample_rate: int,
        batch_size: int,
        steps_per_epoch: int,
        train_split: str = "train",
        validation_split: str = "dev",
        disjoint: Disjoint = "speakers",
        validation_mixtures: int = 200,
        validation_segment_s: float = 4.0,
        noise: Path | None = None,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__(
            mixing=mixing,
            sample_rate=sample_rate,
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            validation_mixtures=validation_mixtures,
            validation_segment_s=validation_segment_s,
            seed=seed,
            workers=workers,
        )
        if train_split == validation_split:
            raise ConfigError(
                f"data.validation_split: got {validation_split!r}, which is trained on; expected another split"
            )
        if mixing.noise_probability and noise is None:
            raise ConfigError(
                f"data.noise: got none with data.mixing.noise_probability={mixing.noise_probability:g}, expected a "
                "folder of ambient noise; name one, or set that to 0"
            )
        everything = [utterance for manifest in utterances for utterance in read_utterances(manifest)]
        train = _of_split(everything, train_split, utterances)
        validation = _of_split(everything, validation_split, utterances)
        _check_disjoint([*train, *validation], disjoint)
        for mixtures in (mixing, mixing.for_validation(segment_s=validation_segment_s)):
            mixtures.check(sample_rate)  # before hours of decoding
        self._train_speech = WaveformCache(train, cache_dir, sample_rate)
        self._validation_speech = WaveformCache(validation, cache_dir, sample_rate)
        self._train_noise = self._validation_noise = None
        if noise is not None:
            heard, kept = _split_noise(_noise_files(noise))
            self._train_noise = WaveformCache(heard, cache_dir, sample_rate)
            self._validation_noise = WaveformCache(kept, cache_dir, sample_rate)

    def prepare_data(self) -> None:
        """Decode all audio once (rank 0 of each node)."""
        for cache in (
            self._train_speech,
            self._validation_speech,
            self._train_noise,
            self._validation_noise,
        ):
            if cache is not None:
                cache.build()

    def content(self) -> dict[str, str | None]:
        """See `MixtureData`."""
        bank = self.mixing.bank and (self.mixing.bank / BANK_SETTINGS).read_text(encoding="utf-8")
        noise = [*_utterances(self._train_noise), *_utterances(self._validation_noise)]
        return {
            "utterances": digest(map(_described, self._train_speech.utterances)),
            "validation_utterances": digest(map(_described, self._validation_speech.utterances)),
            "noise": digest(map(_described, noise)) if noise else None,
            "mixing.bank": digest([bank]) if bank else None,  # in place of its path
        }

    def training_mixtures(self, *, length: int, world_size: int) -> Mixtures:
        """See `MixtureData`."""
        return self.mixing.mixtures(
            speech=self._train_speech, noise=self._train_noise, seed=2 * self.seed, length=length
        )

    def fixed_mixtures(self) -> Mixtures:
        """See `MixtureData`."""
        return self.mixing.for_validation(segment_s=self.validation_segment_s).mixtures(
            speech=self._validation_speech,
            noise=self._validation_noise,
            seed=2 * self.seed + 1,
            length=self.validation_mixtures,
        )


def _of_split(utterances: Sequence[Utterance], split: str, manifests: Sequence[Path]) -> list[Utterance]:
    found = [utterance for utterance in utterances if utterance.split == split]
    if not found:
        splits = ", ".join(sorted({str(utterance.split) for utterance in utterances}))
        names = ", ".join(str(manifest) for manifest in manifests)
        raise ManifestError(f"{names}: got no utterance with split {split!r}, expected one of: {splits}")
    return found


def _check_disjoint(utterances: Sequence[Utterance], disjoint: Disjoint) -> None:
    try:
        check_leaks(utterances, disjoint=disjoint)
    except ManifestError as error:
        remedy = (
            "; where the same people talk in both by design, data.disjoint=dialogues"
            if disjoint == "speakers" and not any(find_leaks(utterances, disjoint="dialogues"))
            else ""
        )
        raise ManifestError(f"training and validation: {error}{remedy}", error.problems) from error


def _utterances(cache: WaveformCache | None) -> Sequence[Utterance]:
    return () if cache is None else cache.utterances


def _described(utterance: Utterance) -> list[Any]:
    """What an utterance is, but for where its audio lies."""
    turns = [(turn.speaker, turn.text) for turn in utterance.history]
    return [
        utterance.id, utterance.speaker, utterance.duration_s, utterance.sample_rate, utterance.text,
        utterance.dialogue, turns,
    ]  # fmt: skip


def _noise_files(folder: Path) -> list[Utterance]:
    """Recordings of noise, called by their paths in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _AUDIO_SUFFIXES)
    if not paths:
        raise ManifestError(
            f"{folder}: got no audio files, expected a folder of ambient noise; check `data.noise`"
        )
    return [_as_utterance(path.resolve(), path.relative_to(folder).as_posix()) for path in paths]


def _as_utterance(path: Path, name: str) -> Utterance:
    info = soundfile.info(str(path))
    return Utterance(
        id=name,
        audio=path,
        speaker="noise",
        duration_s=info.duration,
        sample_rate=info.samplerate,
        split=None,
    )


def _split_noise(recordings: Sequence[Utterance]) -> tuple[list[Utterance], list[Utterance]]:
    """Noise to train with, and noise to validate with: where there are two or more, no recording is in both.

    A recording's name decides, so that others can come and go.
    """
    by_place = sorted((hashlib.sha256(os.fsencode(one.id)).digest(), one.id, one) for one in recordings)
    in_order = [one for _, _, one in by_place]
    kept = sum(place[0] < 256 / 10 for place, _, _ in by_place)
    kept = max(1, min(kept, len(in_order) - 1))
    return in_order[kept:] or in_order, in_order[:kept]
