"""How one training mixture is made: pieces of utterances, when they begin, rooms, levels, noise, the channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cse.errors import ConfigError
from cse.training.reverberation import reverberate
from cse.training.speed import SpeedChange
from cse.training.waveform_cache import WaveformCache
from simulate.casting import chance
from simulate.mixing import mix, sample_snr_db
from simulate.timing import draw_timing

if TYPE_CHECKING:
    from cse.training.mixtures import MixingConfig

_SILENCE_RMS = 1e-3  # −60 dB: a piece without speech in it teaches nothing
_TRIES = 10


class Mixed(NamedTuple):
    """A mixture and what is wanted of it.

    Attributes:
        mixture: (T,) float32.
        talkers: (S, T) float32, the target first, each as it is wanted and at its level in the mixture.
        speeds: By how much each is faster than it was spoken.
    """

    mixture: np.ndarray
    talkers: np.ndarray
    speeds: tuple[float, ...]


class Mixer:
    """Cuts pieces out of utterances and adds them up.

    Args:
        speech: Decoded utterances.
        noise: Decoded ambient noise, needed where `config.noise_probability` is above 0.
        config: How to mix.

    Raises:
        ConfigError: If the bank of rooms cannot be read or does not fit, or there is no noise to mix with.
    """

    def __init__(self, *, speech: WaveformCache, noise: WaveformCache | None, config: MixingConfig) -> None:
        if config.noise_probability and noise is None:
            raise ConfigError(
                f"noise: got none with noise_probability={config.noise_probability:g}, expected recordings of it"
            )
        self._speech = speech
        self._noise = noise
        self._config = config
        self._samples = round(config.segment_s * speech.sample_rate)
        self._speed_changes = {factor: SpeedChange(factor) for factor in config.speeds}
        self._rooms = config.rooms(speech.sample_rate)

    def mixture(self, voices: Sequence[Sequence[int] | np.ndarray], rng: np.random.Generator) -> Mixed:
        """Mix a piece of one utterance of each voice by the paper's rule, the target first."""
        config = self._config
        pieces, speeds = zip(*(self.piece(voice, self._samples, rng) for voice in voices), strict=True)
        heard, wanted = self._placed(pieces, rng), None
        if chance(config.reverberation_probability, rng):
            heard, wanted = reverberate(heard, self._rooms.draw(len(heard), rng))
        mixed = mix(
            list(heard),
            [sample_snr_db(rng) for _ in heard[1:]],
            noise=self._stretch(heard.shape[1], rng) if chance(config.noise_probability, rng) else None,
            noise_snr_db=float(rng.uniform(*config.noise_snr_db)),
        )
        talkers = mixed.sources if wanted is None else _levelled(wanted, heard, mixed.sources)
        return self._sent(Mixed(mixed.mixture, talkers, speeds), rng)

    def piece(
        self,
        utterances: Sequence[int] | np.ndarray,
        samples: int,
        rng: np.random.Generator,
        *,
        speed: float | None = None,
    ) -> tuple[np.ndarray, float]:
        """At most `samples` samples of one of the utterances, at a random speed unless it is given, and that speed."""
        for _ in range(_TRIES):
            utterance = int(utterances[int(rng.integers(len(utterances)))])
            factor = float(rng.choice(self._config.speeds)) if speed is None else speed
            wanted = round(samples * factor)
            start = int(rng.integers(max(1, self._speech.length(utterance) - wanted + 1)))
            piece = self._speech.read(utterance, start, wanted)
            if np.sqrt(np.mean(np.square(piece))) > _SILENCE_RMS:
                break
        return self._speed_changes[factor](piece)[:samples], factor

    def _placed(self, pieces: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Segments (S, T) in which the pieces begin when the options say."""
        config = self._config
        timing = draw_timing(
            rng,
            talkers=len(pieces),
            overlap=config.overlap if chance(config.overlap_probability, rng) else None,
            cut_probability=config.cut_probability,
        )
        pieces = timing.cut_to_shortest([self._shifted(piece, rng) for piece in pieces])
        if not timing.overlaps:  # nor has a single talker anybody to overlap with
            begins = [self._begin(len(piece), rng) for piece in pieces]
        else:
            least = min(overlap.ratio for overlap in timing.overlaps)
            longest = int(self._samples / (len(pieces) - (len(pieces) - 1) * least))  # all fit in a segment
            pieces = [piece[:longest] for piece in pieces]
            begins = timing.begins([len(piece) for piece in pieces])
            ends = [begin + len(piece) for begin, piece in zip(begins, pieces, strict=True)]
            first = self._begin(min(max(ends), self._samples), rng)
            begins = [first + begin for begin in begins]
        ends = [begin + len(piece) for begin, piece in zip(begins, pieces, strict=True)]
        length = self._samples if config.padded else min(max(ends), self._samples)
        segments = np.zeros((len(pieces), length), np.float32)
        for segment, piece, begin in zip(segments, pieces, begins, strict=True):
            place = segment[begin : begin + len(piece)]
            place[:] = piece[: len(place)]
        return segments

    def _shifted(self, piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not chance(self._config.shift_probability, rng):
            return piece
        most = round(self._config.max_shift_s * self._speech.sample_rate)
        return np.roll(piece, int(rng.integers(-most, most + 1)))

    def _begin(self, length: int, rng: np.random.Generator) -> int:
        latest = self._samples - length
        if self._config.max_delay_s is not None:
            latest = min(latest, round(self._config.max_delay_s * self._speech.sample_rate))
        return int(rng.integers(latest + 1))

    def _stretch(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Noise from a random place of a random recording on."""
        assert self._noise is not None, "the constructor saw to it"
        recording = int(rng.integers(len(self._noise.utterances)))
        length = self._noise.length(recording)
        return self._noise.read(recording, int(rng.integers(max(1, length - samples + 1))), samples)

    def _sent(self, mixed: Mixed, rng: np.random.Generator) -> Mixed:
        """The mixture behind the channel; what is wanted stays clean, at its level."""
        if not self._config.has_channel:
            return mixed
        channel = self._config.draw(rng)
        gain = np.float32(10 ** (channel.gain_db / 20))
        received = channel.apply(mixed.mixture, self._speech.sample_rate)
        return mixed._replace(mixture=received, talkers=mixed.talkers * gain)


def _levelled(wanted: np.ndarray, heard: np.ndarray, scaled: np.ndarray) -> np.ndarray:
    """Scale each wanted part (S, T) as the whole of that talker was scaled, from `heard` to `scaled`."""
    loudest = np.argmax(np.abs(heard), axis=1)[:, None]
    before = np.take_along_axis(heard, loudest, axis=1)
    gains = np.take_along_axis(scaled, loudest, axis=1) / np.where(before == 0, 1, before)
    return wanted * gains
