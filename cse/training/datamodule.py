"""From manifests of utterances to batches of mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import soundfile

from cse.corpora.leaks import Disjoint, check_leaks, find_leaks
from cse.errors import ConfigError, ManifestError
from cse.manifest import Utterance, read_utterances
from cse.training.mixture_data import MixtureData
from cse.training.mixtures import MixingConfig, Mixtures
from cse.training.waveform_cache import WaveformCache

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
        noise: Folder of ambient noise (searched with its subfolders), or None.
        seed: Of all mixtures.
        workers: Data-loader processes; 0 makes mixtures in the training process.
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
        everything = [utterance for manifest in utterances for utterance in read_utterances(manifest)]
        train = _of_split(everything, train_split, utterances)
        validation = _of_split(everything, validation_split, utterances)
        _check_disjoint([*train, *validation], disjoint)
        for mixtures in (mixing, mixing.for_validation(segment_s=validation_segment_s)):
            mixtures.check(sample_rate)  # before hours of decoding
        self._train_speech = WaveformCache(train, cache_dir, sample_rate)
        self._validation_speech = WaveformCache(validation, cache_dir, sample_rate)
        self._noise = WaveformCache(_noise_files(noise), cache_dir, sample_rate) if noise else None

    def prepare_data(self) -> None:
        """Decode all audio once (rank 0 of each node)."""
        for cache in (self._train_speech, self._validation_speech, self._noise):
            if cache is not None:
                cache.build()

    def training_mixtures(self, *, length: int, world_size: int) -> Mixtures:
        """See `MixtureData`."""
        return self.mixing.mixtures(
            speech=self._train_speech, noise=self._noise, seed=2 * self.seed, length=length
        )

    def fixed_mixtures(self) -> Mixtures:
        """See `MixtureData`."""
        return self.mixing.for_validation(segment_s=self.validation_segment_s).mixtures(
            speech=self._validation_speech,
            noise=self._noise,
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


def _noise_files(folder: Path) -> list[Utterance]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _AUDIO_SUFFIXES)
    if not paths:
        raise ManifestError(
            f"{folder}: got no audio files, expected a folder of ambient noise; check `data.noise`"
        )
    return [_as_utterance(path.resolve()) for path in paths]


def _as_utterance(path: Path) -> Utterance:
    info = soundfile.info(str(path))
    return Utterance(
        id=path.stem,
        audio=path,
        speaker="noise",
        duration_s=info.duration,
        sample_rate=info.samplerate,
        split=None,
    )
