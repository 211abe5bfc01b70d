"""One finished mixture on disk: its folder appears under its name when everything in it is written.

    audio/<index>-<utterance>/
        mixture.wav  target.wav  interferer1.wav …  noise.wav  reverberant.wav  before_channel.wav  item.jsonl
        mixture_array.wav  target_array.wav

The parts that the mixture is the sum of are the target as it is in the mixture, the interferers and the noise; they
are rounded to 16 bit first and added up then, so the sum is exact to the bit. Where the dry or the early target is
asked for, `target.wav` is that, aligned with the mixture (the delay of the direct path is kept) and at the level it
has in it; `reverberant.wav` is then the target as it is in the mixture. Where a channel changes the mixture, the sum
is `before_channel.wav`. All of these are at the reference microphone; where there are more, `mixture_array.wav` (before
the channel) and `target_array.wav` have a track for each, the reference first.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cse.audio import write_audio
from cse.errors import ManifestError
from cse.manifest import Mixture, read_mixtures, write_manifest
from simulate.plan import Plan
from simulate.sound import Acoustics, Sound

_ITEM = "item.jsonl"
# keys with names of files beside the mixture: manifests rewrite the paths of the contract's keys only
TARGET_IN_MIXTURE, BEFORE_CHANNEL = "target_in_mixture", "mixture_before_channel"
MIXTURE_ARRAY, TARGET_ARRAY = "mixture_array", "target_array"
_BESIDE = (TARGET_IN_MIXTURE, BEFORE_CHANNEL, MIXTURE_ARRAY, TARGET_ARRAY)


@dataclass(frozen=True)
class ItemMaker:
    """Makes a mixture's folder, or takes the one that is there: what an engine does with every plan.

    Args:
        folder: Of the set.
        acoustics: Make the sound.
        audio_format: Suffix of the files, without the full stop.
    """

    folder: Path
    acoustics: Acoustics
    audio_format: str

    def __call__(self, plan: Plan) -> Mixture:
        """The record of a complete mixture.

        Raises:
            InvalidAudioError: An utterance cannot be read or is silent.
        """
        place = self.folder / "audio" / plan.id
        return finished(place) or self.make(plan, place)

    def make(self, plan: Plan, place: Path) -> Mixture:
        """Make one mixture anew; a function of its arguments, wherever and whenever it runs."""
        sound = self.acoustics.sound(plan)
        beside = place.with_name(f".{plan.id}.partial")
        for leftover in (beside, place):
            if leftover.is_dir():
                shutil.rmtree(leftover)
        beside.mkdir(parents=True)
        try:
            record = _write(plan, sound, beside, self.acoustics.config.sample_rate, self.audio_format)
            record.extra["target_kind"] = self.acoustics.config.target
            write_manifest(beside / _ITEM, [record])
            os.rename(beside, place)
        finally:
            if beside.is_dir():
                shutil.rmtree(beside)
        return read_mixtures(place / _ITEM)[0]


def finished(place: Path) -> Mixture | None:
    """The record of a mixture that is already complete; None where a file of it is missing."""
    item = place / _ITEM
    if not item.is_file():
        return None
    try:
        record = read_mixtures(item)[0]
    except ManifestError:  # a file that it names is gone, or the record is damaged: made anew
        return None
    beside = [record.extra.get(key) for key in _BESIDE]
    return record if all(name is None or (place / name).is_file() for name in beside) else None


def _write(plan: Plan, sound: Sound, folder: Path, sample_rate: int, audio_format: str) -> Mixture:
    def store(name: str, waveform: np.ndarray) -> Path:
        path = folder / f"{name}.{audio_format}"
        write_audio(path, waveform, sample_rate)
        return path

    array, extra = sound.mixture, _about(plan, sound, sample_rate)
    mixture = array[0]
    if sound.target is not None and sound.target_in_mixture is not sound.target:
        assert sound.target_in_mixture is not None
        extra[TARGET_IN_MIXTURE] = store("reverberant", sound.target_in_mixture[0]).name
    if sound.received is not None:
        extra[BEFORE_CHANNEL] = store("before_channel", mixture).name
    if len(array) > 1:
        extra[MIXTURE_ARRAY] = store("mixture_array", array).name
        if sound.target is not None:
            extra[TARGET_ARRAY] = store("target_array", sound.target).name
    return Mixture(
        id=plan.id,
        mixture=store("mixture", mixture if sound.received is None else sound.received),
        target=None if sound.target is None else store("target", sound.target[0]),
        interferers=tuple(
            store(f"interferer{number}", part[0]) for number, part in enumerate(sound.interferers, start=1)
        ),
        noise=None if sound.ambience is None else store("noise", sound.ambience.waveform[0]),
        sample_rate=sample_rate,
        duration_s=len(mixture) / sample_rate,
        history=plan.asked.history,
        target_speaker=plan.asked.speaker,
        target_text=None if plan.target is None else plan.target.text,
        interferer_texts=tuple(utterance.text for utterance in plan.interferers),
        enrollment=None if plan.enrollment is None else plan.enrollment.audio,
        snr_db=plan.snr_db,
        rt60_s=None if sound.scene is None else sound.scene.room.rt60_s,
        seed=plan.seed,
        extra=extra,
    )


def _about(plan: Plan, sound: Sound, sample_rate: int) -> dict[str, Any]:
    """What the contract has no key for."""
    extra: dict[str, Any] = {
        "target_id": None if plan.target is None else plan.target.id,
        "asked_id": plan.asked.id,
        "interferer_ids": [utterance.id for utterance in plan.interferers],
        "interferer_speakers": [utterance.speaker for utterance in plan.interferers],
        "interferer_histories": [
            [{"speaker": turn.speaker, "text": turn.text} for turn in utterance.history]
            for utterance in plan.interferers
        ],
        "enrollment_id": None if plan.enrollment is None else plan.enrollment.id,
        "dialogue": plan.asked.dialogue,
    }
    if plan.timing.overlaps is not None:
        extra["begins_s"] = [begin / sample_rate for begin in sound.begins]
        extra["overlap"] = [overlap.ratio for overlap in plan.timing.overlaps]
    if plan.timing.cut:
        extra["cut"] = True
    if sound.ambience is not None:
        extra |= {"noise_snr_db": sound.ambience.snr_db, "noise_source": sound.ambience.source}
    if sound.scene is not None:
        extra["room"] = asdict(sound.scene.room)
        if sound.scene.number is not None:
            extra["room"]["number_in_bank"] = sound.scene.number
    if sound.channel is not None:
        extra["channel"] = asdict(sound.channel)
    return extra
