"""From clean utterances to mixtures on disk: `utterances.jsonl` -> `mixtures.jsonl` and audio.

Layout of the output folder:

    mixtures.jsonl                      written last: complete, or not there
    simulation.json                     options and corpus it was made from: nothing else is added to it
    audio/<index>-<utterance>/          one folder a mixture, renamed to this once everything in it is written
        mixture.wav  target.wav  interferer1.wav …  noise.wav  reverberant.wav  item.jsonl

The mixture is the sum of its parts to the bit: they are rounded to 16 bit first and added up then. The parts
are the target as it is in the mixture, the interferers and the noise. Where the dry or the early target is
asked for, `target.wav` is that, aligned with the mixture (the delay of the direct path is kept) and at the
level it has in it; `reverberant.wav` is then the target as it is in the mixture.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from cse.audio import fit_length, load_waveform, write_audio
from cse.errors import ConfigError, CseError, InvalidAudioError, ManifestError
from cse.files import write_text
from cse.manifest import Mixture, Utterance, read_mixtures, read_utterances, write_manifest
from simulate.mixing import mix
from simulate.noise import NoiseConfig, sample_noise
from simulate.plan import NOISE, ROOM, Plan, Planner, stream
from simulate.rooms import Room, RoomConfig, sample_room

MANIFEST = "mixtures.jsonl"
_SETTINGS, _ITEM = "simulation.json", "item.jsonl"
_PCM_STEPS = 2**15
_LOUDEST = 0.99  # of a part: a sum of peak 0.9 may have louder parts, where they cancel


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """What the mixtures of a set are made of.

    Attributes:
        split: Talkers are those of this split; null takes all utterances of the manifest.
        talkers: Talkers in a mixture, the target included: 2 or 3.
        sample_rate: Of all audio that is written, in Hz: 8000 or 16000.
        target: What the target is: dry (direct path alone), early (50 ms of reflections too) or reverberant.
        min_history_turns: An utterance becomes a target if so many turns precede it; 0 takes all.
        max_duration_s: Longer utterances are left out; null keeps all.
        limit: At most so many mixtures; null makes one for every target.
        seed: Mixtures of different seeds have nothing in common.
        audio_format: File format, wav or flac (both 16 bit).
        rooms: Simulated rooms; None adds the utterances up as they were recorded.
        noise: Ambient noise; None adds none.

    Raises:
        ConfigError: A value outside of what is named here.
    """

    split: str | None = None
    talkers: int = 2
    sample_rate: int = 16000
    target: Literal["dry", "early", "reverberant"] = "reverberant"
    min_history_turns: int = 1
    max_duration_s: float | None = None
    limit: int | None = None
    seed: int = 0
    audio_format: Literal["wav", "flac"] = "wav"
    rooms: RoomConfig | None = None
    noise: NoiseConfig | None = None

    def __post_init__(self) -> None:
        self._one_of("talkers", (2, 3))
        self._one_of("sample_rate", (8000, 16000))
        self._one_of("target", ("dry", "early", "reverberant"))
        self._one_of("audio_format", ("wav", "flac"))
        for name, least in (("min_history_turns", 0), ("seed", 0), ("limit", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name}: got {value}, expected {least} or more")
        if self.max_duration_s is not None and not self.max_duration_s > 0:
            raise ConfigError(f"max_duration_s: got {self.max_duration_s}, expected more than 0")

    def _one_of(self, name: str, allowed: Sequence[Any]) -> None:
        if getattr(self, name) not in allowed:
            expected = " or ".join(str(value) for value in allowed)
            raise ConfigError(f"{name}: got {getattr(self, name)}, expected {expected}")


def render(
    utterances: str | os.PathLike[str],
    output: str | os.PathLike[str],
    config: RenderConfig,
    *,
    progress: bool = True,
) -> list[Mixture]:
    """Make a set of mixtures; those that are already complete in `output` are kept.

    Args:
        utterances: Manifest of clean speech.
        output: Folder for `mixtures.jsonl` and the audio; made where it does not exist.
        config: What to make.
        progress: Show a bar on stderr.

    Returns:
        The records of `mixtures.jsonl`, one for every utterance with enough history, by index.

    Raises:
        ManifestError: The manifest is wrong, has too few talkers, or none with enough history.
        ConfigError: `output` holds mixtures of other options or another corpus; or no room or noise is to be
            had.
        InvalidAudioError: An utterance cannot be read or is silent.
    """
    planner = Planner(
        _utterances(utterances, config),
        talkers=config.talkers,
        min_history_turns=config.min_history_turns,
        seed=config.seed,
    )
    noise = config.noise.recordings() if config.noise else ()
    folder = Path(output)
    _claim(folder, _settings(Path(utterances), noise, config))
    count = len(planner) if config.limit is None else min(config.limit, len(planner))
    # drawn before the first one is rendered: a corpus that does not do is found out at once
    plans = [planner.plan(index) for index in range(count)]
    bar = tqdm(plans, desc="simulate", unit="mixture", disable=not progress)
    records = [_finished(plan, folder) or render_item(plan, folder, config, noise) for plan in bar]
    write_manifest(folder / MANIFEST, records)
    return records


def render_item(plan: Plan, folder: Path, config: RenderConfig, noise: Sequence[Path]) -> Mixture:
    """Render one mixture into `folder`/audio; a function of its arguments, wherever and whenever it runs.

    Raises:
        InvalidAudioError: An utterance cannot be read or is silent; the message names the mixture.
    """
    sound = _sound(plan, config, noise)
    place = folder / "audio" / plan.id
    beside = place.with_name(f".{plan.id}.partial")
    for leftover in (beside, place):
        if leftover.is_dir():
            shutil.rmtree(leftover)
    beside.mkdir(parents=True)
    try:
        record = _write(plan, sound, beside, config)
        write_manifest(beside / _ITEM, [record])
        os.rename(beside, place)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside)
    return read_mixtures(place / _ITEM)[0]


@dataclass(frozen=True)
class _Sound:
    """The parts of one mixture on the 16-bit grid, each (T,) float32, and where they sounded."""

    target: np.ndarray
    target_in_mixture: np.ndarray
    interferers: tuple[np.ndarray, ...]
    noise: np.ndarray | None
    noise_snr_db: float | None
    noise_source: str | None
    room: Room | None

    @property
    def mixture(self) -> np.ndarray:
        # exact in float32: all parts are multiples of 2**-15 and their sum is below 1
        mixture: np.ndarray = self.target_in_mixture + sum(self.interferers)
        return mixture if self.noise is None else mixture + self.noise


def _sound(plan: Plan, config: RenderConfig, noise_files: Sequence[Path]) -> _Sound:
    dry = [_speech(utterance, plan, config.sample_rate) for utterance in (plan.target, *plan.interferers)]
    room, sources, wanted = _in_room(dry, plan, config)
    samples = max(len(source) for source in sources)
    noise, noise_snr_db, noise_source = None, None, None
    if config.noise is not None:
        rng = stream(config.seed, plan.index, NOISE)
        noise_snr_db = float(rng.uniform(*config.noise.snr_db))
        noise, path = sample_noise(noise_files, samples, config.sample_rate, rng)
        noise_source = path.name
    mixed = mix(sources, plan.snr_db, noise=noise, noise_snr_db=noise_snr_db or 0.0, length=samples)
    parts = list(mixed.sources) if mixed.noise is None else [*mixed.sources, mixed.noise]
    if wanted is not None:
        loudest = int(np.argmax(np.abs(sources[0])))
        parts.append(
            wanted * (mixed.sources[0, loudest] / sources[0][loudest])
        )  # as the whole target was scaled
    parts = _quantised([fit_length(part, samples) for part in parts])
    talkers = len(sources)
    return _Sound(
        # the very same samples where the target is the whole of it: rounded once
        target=parts[0] if wanted is None else parts[-1],
        target_in_mixture=parts[0],
        interferers=tuple(parts[1:talkers]),
        noise=None if noise is None else parts[talkers],
        noise_snr_db=noise_snr_db,
        noise_source=noise_source,
        room=room,
    )


def _in_room(
    dry: Sequence[np.ndarray], plan: Plan, config: RenderConfig
) -> tuple[Room | None, list[np.ndarray], np.ndarray | None]:
    """The room, the talkers as they sound in it, and the target where only a part of that is asked for."""
    if config.rooms is None:
        return None, list(dry), None
    room = sample_room(config.rooms, stream(config.seed, plan.index, ROOM), talkers=len(dry))
    rirs = room.rirs(config.sample_rate)
    sources = [_convolve(speech, rir[0]) for speech, rir in zip(dry, rirs.reverberant, strict=True)]
    if config.target == "reverberant":
        return room, sources, None
    return room, sources, _convolve(dry[0], (rirs.direct if config.target == "dry" else rirs.early)[0, 0])


def _speech(utterance: Utterance, plan: Plan, sample_rate: int) -> np.ndarray:
    try:
        speech = load_waveform(utterance.audio, sample_rate)
    except InvalidAudioError as error:
        raise InvalidAudioError(f"mixture {plan.id}, utterance {utterance.id}: {error}") from error
    if not np.any(speech):
        raise InvalidAudioError(
            f"mixture {plan.id}: utterance {utterance.id} ({utterance.audio}) is silent, expected speech;"
            " take it out of the manifest"
        )
    return speech


def _convolve(speech: np.ndarray, rir: np.ndarray) -> np.ndarray:
    from scipy.signal import fftconvolve

    return fftconvolve(speech.astype(np.float64), rir.astype(np.float64)).astype(np.float32)


def _quantised(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Round parts to 16 bit; turned down together first where one of them would be clipped."""
    loudest = max(float(np.max(np.abs(part))) for part in parts)
    gain = min(1.0, _LOUDEST / loudest)
    return [
        np.round(part * (gain * _PCM_STEPS)).astype(np.float32) / np.float32(_PCM_STEPS) for part in parts
    ]


def _write(plan: Plan, sound: _Sound, folder: Path, config: RenderConfig) -> Mixture:
    def store(name: str, waveform: np.ndarray) -> Path:
        path = folder / f"{name}.{config.audio_format}"
        write_audio(path, waveform, config.sample_rate)
        return path

    extra: dict[str, Any] = {
        "target_id": plan.target.id,
        "interferer_ids": [utterance.id for utterance in plan.interferers],
        "interferer_speakers": [utterance.speaker for utterance in plan.interferers],
        "interferer_histories": [
            [{"speaker": turn.speaker, "text": turn.text} for turn in utterance.history]
            for utterance in plan.interferers
        ],
        "dialogue": plan.target.dialogue,
        "target_kind": config.target,
    }
    if sound.target is not sound.target_in_mixture:
        # a name beside the mixture: manifests rewrite the paths of the contract's keys only
        extra["target_in_mixture"] = store("reverberant", sound.target_in_mixture).name
    if sound.noise is not None:
        extra |= {"noise_snr_db": sound.noise_snr_db, "noise_source": sound.noise_source}
    if sound.room is not None:
        extra["room"] = asdict(sound.room)
    return Mixture(
        id=plan.id,
        mixture=store("mixture", sound.mixture),
        target=store("target", sound.target),
        interferers=tuple(store(f"interferer{n}", part) for n, part in enumerate(sound.interferers, start=1)),
        noise=None if sound.noise is None else store("noise", sound.noise),
        sample_rate=config.sample_rate,
        duration_s=len(sound.mixture) / config.sample_rate,
        history=plan.target.history,
        target_speaker=plan.target.speaker,
        target_text=plan.target.text,
        interferer_texts=tuple(utterance.text for utterance in plan.interferers),
        enrollment=None if plan.enrollment is None else plan.enrollment.audio,
        snr_db=plan.snr_db,
        rt60_s=None if sound.room is None else sound.room.rt60_s,
        seed=config.seed,
        extra=extra,
    )


def _finished(plan: Plan, folder: Path) -> Mixture | None:
    """The record of a mixture that is already complete; None where a file of it is missing."""
    item = folder / "audio" / plan.id / _ITEM
    if not item.is_file():
        return None
    try:
        record = read_mixtures(item)[0]
    except ManifestError:  # a file that it names is gone, or the record is damaged: made anew
        return None
    beside = record.extra.get("target_in_mixture")
    return record if beside is None or (item.parent / beside).is_file() else None


# ---- the corpus and the options


def _utterances(manifest: str | os.PathLike[str], config: RenderConfig) -> list[Utterance]:
    utterances = read_utterances(manifest, split=config.split)
    if config.max_duration_s is None:
        return utterances
    short = [utterance for utterance in utterances if utterance.duration_s <= config.max_duration_s]
    if not short:
        raise ManifestError(
            f"{manifest}: all {len(utterances)} utterances are longer than"
            f" max_duration_s={config.max_duration_s}"
        )
    return short


def _settings(manifest: Path, noise: Sequence[Path], config: RenderConfig) -> dict[str, Any]:
    """All that mixture `index` depends on, as JSON. The limit is not part of it: a set can be made longer."""
    options = asdict(replace(config, limit=None, noise=None))
    del options["limit"]
    options["noise"] = config.noise and {
        "snr_db": config.noise.snr_db,
        "files": _digest("\n".join(path.name for path in noise).encode()),
    }
    options["utterances"] = _digest(manifest.read_bytes())
    settings: dict[str, Any] = json.loads(json.dumps(options))
    return settings


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Make the output folder; refuse one with mixtures of other options: old and new would get mixed up."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CseError(
            f"output {folder}: cannot make the folder: {error.strerror}; name another one"
        ) from error
    path = folder / _SETTINGS
    if path.is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            before = {}
        changed = [
            key for key, value in settings.items() if not isinstance(before, dict) or before.get(key) != value
        ]
        if changed:
            raise ConfigError(
                f"output {folder}: holds mixtures made with other values of {', '.join(changed)};"
                " delete it or name another folder"
            )
        return
    write_text(path, json.dumps(settings, indent=2, sort_keys=True) + "\n")
