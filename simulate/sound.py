"""From a plan to sound: the parts of one mixture, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from cse.audio import fit_length, load_waveform
from cse.errors import ConfigError, InvalidAudioError
from cse.manifest import Utterance
from simulate.bank import RirBank, Split
from simulate.channel import Channel, ChannelConfig
from simulate.checks import check_one_of
from simulate.mixing import mix
from simulate.noise import NoiseConfig, sample_noise
from simulate.plan import CHANNEL, NOISE, ROOM, Plan
from simulate.rooms import Rirs, Room, RoomConfig, sample_room

_PCM_STEPS = 2**15
_LOUDEST = 0.99  # of a part: a sum of peak 0.9 may have louder parts, where they cancel


@dataclass(frozen=True, kw_only=True)
class SoundConfig:
    """How the mixtures of a set sound.

    Attributes:
        sample_rate: Of all audio that is written, in Hz: 8000 or 16000.
        target: What the target is: dry (direct path alone), early (50 ms of reflections too) or reverberant.
        bank: Folder of rooms made once with `cse rirs`; null takes rooms as `rooms` says.
        bank_split: Take the bank's rooms of train, dev or test only; null takes those of `split`.
        rooms: Rooms drawn anew for each mixture; None adds the utterances up as they were recorded.
        noise: Ambient noise; None adds none.
        channel: What happens to the mixtures on their way; None leaves them as they are.

    Raises:
        ConfigError: A value outside of what is named here.
    """

    sample_rate: int = 16000
    target: Literal["dry", "early", "reverberant"] = "reverberant"
    bank: Path | None = None
    bank_split: Split | None = None
    rooms: RoomConfig | None = None
    noise: NoiseConfig | None = None
    channel: ChannelConfig | None = None

    def __post_init__(self) -> None:
        check_one_of("sample_rate", self.sample_rate, (8000, 16000))
        check_one_of("target", self.target, ("dry", "early", "reverberant"))
        check_one_of("bank_split", self.bank_split, (None, "train", "dev", "test"))
        if self.bank is not None and self.rooms is not None:
            raise ConfigError("bank and rooms: got both, expected one of them; leave out bank or rooms.*")


@dataclass(frozen=True)
class Scene:
    """A room and its impulse responses; `number` is that of the room in the bank, None where it was drawn anew."""

    room: Room
    rirs: Rirs
    number: int | None = None


@dataclass(frozen=True)
class Ambience:
    """Noise (M, T) float32, how much weaker it is than all talkers together, and the recording it is from."""

    waveform: np.ndarray
    snr_db: float
    source: str


@dataclass(frozen=True)
class Sound:
    """The parts of one mixture on the 16-bit grid, each (M, T) float32, and where they sounded.

    M is the number of microphones, 1 without a room; the first one is the reference.

    Attributes:
        target: What is wanted; None where nobody continues the history.
        target_in_mixture: The target as it is in the mixture: the same array, or that with all that the room adds.
        interferers: All other talkers.
        ambience: The noise; None where there is none.
        begins: The sample with which each talker begins.
        scene: The room; None where there is none.
        channel: What happens to the mixture; None where there is no channel.
        received: The mixture at the reference, (T,), behind the channel; None where nothing happens to it.
    """

    target: np.ndarray | None
    target_in_mixture: np.ndarray | None
    interferers: tuple[np.ndarray, ...]
    ambience: Ambience | None
    begins: tuple[int, ...]
    scene: Scene | None
    channel: Channel | None
    received: np.ndarray | None

    @property
    def mixture(self) -> np.ndarray:
        """The sum of the parts: (M, T) float32."""
        parts = list(self.interferers)
        if self.target_in_mixture is not None:
            parts.append(self.target_in_mixture)
        if self.ambience is not None:
            parts.append(self.ambience.waveform)
        # exact: all parts are multiples of 2**-15 and their sum is below 1
        return np.asarray(np.sum(parts, axis=0))


class Acoustics:
    """Makes the sound of plans; holds on to what it reads from.

    Args:
        config: How mixtures sound.
        bank_split: Of the bank's rooms.
        talkers: Most talkers in a mixture.

    Raises:
        ConfigError: The bank or the noise is missing, or is of another kind.
    """

    def __init__(self, config: SoundConfig, *, bank_split: Split | None = None, talkers: int = 2) -> None:
        self.config = config
        self.noise = config.noise.recordings() if config.noise else ()
        self.bank = None if config.bank is None else RirBank.load(config.bank, split=bank_split)
        if self.bank is not None:
            self.bank.check(sample_rate=config.sample_rate, talkers=talkers + self._places_of_noise)

    @property
    def _places_of_noise(self) -> int:
        return int(self.config.noise is not None and self.config.noise.in_room)

    def sound(self, plan: Plan) -> Sound:
        """Make the parts of a mixture: a function of the plan and of what this object was made with.

        Raises:
            InvalidAudioError: An utterance cannot be read or is silent.
        """
        dry = plan.timing.cut_to_shortest([self._speech(utterance) for utterance in plan.talkers])
        begins = plan.timing.begins([len(speech) for speech in dry])
        dry = [np.pad(speech, (begin, 0)) for speech, begin in zip(dry, begins, strict=True)]
        scene = self._scene(plan)
        sources = [_heard(speech, scene, place) for place, speech in enumerate(dry)]
        ambience = self._ambience(plan, max(source.shape[1] for source in sources), scene)
        wanted = None if scene is None or plan.target is None else self._wanted(dry[0], scene.rirs)
        parts = self._levelled(sources, plan.snr_db, ambience, wanted)
        noise = None if ambience is None else replace(ambience, waveform=parts[len(sources)])
        target = None if plan.target is None else parts[0]
        made = Sound(
            # the very same samples where the target is the whole of it: rounded once
            target=target if wanted is None else parts[-1],
            target_in_mixture=target,
            interferers=tuple(parts[0 if target is None else 1 : len(sources)]),
            ambience=noise,
            begins=tuple(begins),
            scene=scene,
            channel=None,
            received=None,
        )
        return made if self.config.channel is None else self._sent(made, self.config.channel, plan)

    def _speech(self, utterance: Utterance) -> np.ndarray:
        try:
            speech = load_waveform(utterance.audio, self.config.sample_rate)
        except InvalidAudioError as error:
            raise InvalidAudioError(f"utterance {utterance.id}: {error}") from error
        if not np.any(speech):
            raise InvalidAudioError(
                f"utterance {utterance.id} ({utterance.audio}) is silent, expected speech; take it out of the manifest"
            )
        return speech

    def _scene(self, plan: Plan) -> Scene | None:
        rng, sample_rate = plan.random(ROOM), self.config.sample_rate
        if self.bank is not None:
            banked = self.bank.room(int(rng.integers(len(self.bank))))
            return Scene(banked.room, banked.rirs(sample_rate), banked.index)
        if self.config.rooms is not None:
            room = sample_room(self.config.rooms, rng, talkers=len(plan.talkers) + self._places_of_noise)
            return Scene(room, room.rirs(sample_rate))
        return None

    def _wanted(self, dry: np.ndarray, rirs: Rirs) -> np.ndarray | None:
        """The target (M, T), where only a part of what is heard of it is asked for; at the level of the whole."""
        if self.config.target == "reverberant":
            return None
        return convolve(dry, (rirs.direct if self.config.target == "dry" else rirs.early)[0])

    def _ambience(self, plan: Plan, samples: int, scene: Scene | None) -> Ambience | None:
        config = self.config.noise
        if config is None:
            return None
        rng = plan.random(NOISE)
        snr_db = float(rng.uniform(*config.snr_db))
        rirs = None if scene is None or not config.in_room else scene.rirs.reverberant[len(plan.talkers)]
        # it was there before the mixture began
        before = 0 if rirs is None else rirs.shape[1] - 1
        recorded, path = sample_noise(self.noise, before + samples, self.config.sample_rate, rng)
        if rirs is not None:
            waveform = convolve(recorded, rirs)[:, before : before + samples]
        else:
            waveform = np.tile(recorded, (1 if scene is None else len(scene.room.microphones_m), 1))
        return Ambience(waveform, snr_db, path.name)

    def _levelled(
        self,
        sources: Sequence[np.ndarray],
        snr_db: Sequence[float],
        ambience: Ambience | None,
        wanted: np.ndarray | None,
    ) -> list[np.ndarray]:
        """Talkers, then the noise, then the wanted part of the first talker: as loud and as long as in the mixture.

        Levels are those at the reference microphone.
        """
        mixed = mix(
            [source[0] for source in sources],
            snr_db,
            noise=None if ambience is None else ambience.waveform[0],
            noise_snr_db=0.0 if ambience is None else ambience.snr_db,
        )
        parts = [_scaled_alike(source, scaled) for source, scaled in zip(sources, mixed.sources, strict=True)]
        if ambience is not None and mixed.noise is not None:
            parts.append(_scaled_alike(ambience.waveform, mixed.noise))
        summed = len(parts)
        if wanted is not None:
            parts.append(wanted * _gain(sources[0][0], mixed.sources[0]))  # as the whole target was scaled
        samples = len(mixed.mixture)
        return quantised([fit_length(part, samples) for part in parts], summed)

    def _sent(self, made: Sound, config: ChannelConfig, plan: Plan) -> Sound:
        channel = config.draw(plan.random(CHANNEL))
        if channel.changes_nothing:
            return replace(made, channel=channel)
        return replace(
            made, channel=channel, received=channel.apply(made.mixture[0], self.config.sample_rate)
        )


def convolve(speech: np.ndarray, rirs: np.ndarray) -> np.ndarray:
    """What arrives of speech (T,) by impulse responses (M, T_h): (M, T + T_h - 1) float32."""
    from scipy.signal import fftconvolve

    return np.asarray(
        fftconvolve(speech[None].astype(np.float64), rirs.astype(np.float64), axes=1), np.float32
    )


def quantised(parts: Sequence[np.ndarray], summed: int) -> list[np.ndarray]:
    """Round parts to 16 bit; turned down together first where one, or the sum of the first `summed`, would be clipped.

    >>> quantised([np.array([0.5, 0.1]), np.array([-1.98, 0.0])], summed=1)[0].tolist()
    [0.25, 0.04998779296875]
    """
    loudest = max(float(np.max(np.abs(part))) for part in [*parts, np.sum(parts[:summed], axis=0)])
    gain = min(1.0, _LOUDEST / loudest)
    return [
        np.round(part * (gain * _PCM_STEPS)).astype(np.float32) / np.float32(_PCM_STEPS) for part in parts
    ]


def _heard(speech: np.ndarray, scene: Scene | None, place: int) -> np.ndarray:
    """Speech (T,) at the microphones, (M, T)."""
    return speech[None] if scene is None else convolve(speech, scene.rirs.reverberant[place])


def _scaled_alike(heard: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """All microphones (M, T) scaled as the first one was to become `reference`, which is at least as long."""
    others = fit_length(heard[1:], len(reference)) * _gain(heard[0], reference)
    return np.concatenate([reference[None], others])


def _gain(before: np.ndarray, after: np.ndarray) -> np.float32:
    loudest = int(np.argmax(np.abs(before)))
    return np.float32(after[loudest] / before[loudest])
