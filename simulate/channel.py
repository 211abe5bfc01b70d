"""What happens to a mixture between the microphone and the listener: gain, clipping, telephone band, Opus.

In this order, as on a phone: the microphone's amplifier, its converter, the line, the codec. Nothing is delayed and
nothing gets longer, so that target and interferers stay aligned with the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from cse.audio import fit_length, resample
from cse.errors import ConfigError, MissingExtraError
from simulate.checks import check_share
from simulate.rooms import Range, check_range

TELEPHONE_HZ = (300.0, 3400.0)
OPUS_KBPS = (6.0, 128.0)
_OPUS_HZ = 16000  # what is fed to the encoder; fed at 8 kHz it delays speech by up to a sample
_DECODED_HZ = 48000  # whatever was fed
_OPUS_EFFORT = "5"  # of 10; phones save power, and the full effort takes twice as long for 0.1 dB
_TRANSITION_HZ = 200.0


@dataclass(frozen=True, kw_only=True)
class ChannelConfig:
    """What may happen to the mixtures of a set; each of it is drawn for each mixture.

    Attributes:
        gain_db: Gain over a peak of 0.9, [lowest, highest]; what gets beyond full scale is clipped.
        clip_probability: Share of mixtures that are clipped.
        clip_level: Where, as a part of the mixture's peak, [lowest, highest].
        telephone_probability: Share of mixtures that keep 300 to 3400 Hz only.
        opus_probability: Share of mixtures that are encoded with Opus and decoded again.
        opus_kbps: Bit rate in kbit/s, [lowest, highest].

    Raises:
        ConfigError: A value outside of what is named here.
    """

    gain_db: Range = (0.0, 0.0)
    clip_probability: float = 0.0
    clip_level: Range = (0.3, 0.9)
    telephone_probability: float = 0.0
    opus_probability: float = 0.0
    opus_kbps: Range = (16.0, 32.0)

    def __post_init__(self) -> None:
        for name in ("clip", "telephone", "opus"):
            check_share(f"channel.{name}_probability", getattr(self, f"{name}_probability"))
        check_range("channel.gain_db", self.gain_db)
        check_range("channel.clip_level", self.clip_level, least=0.0)
        if self.clip_level[1] > 1:
            raise ConfigError(f"channel.clip_level: got {self.clip_level[1]}, expected at most 1, the peak")
        check_range("channel.opus_kbps", self.opus_kbps)
        if not OPUS_KBPS[0] <= self.opus_kbps[0] <= self.opus_kbps[1] <= OPUS_KBPS[1]:
            raise ConfigError(
                f"channel.opus_kbps: got {list(self.opus_kbps)}, expected {OPUS_KBPS[0]:g} to {OPUS_KBPS[1]:g}"
            )

    def draw(self, rng: np.random.Generator) -> Channel:
        """Draw what happens to one mixture."""
        gain_db, clip_level, opus_kbps = (
            float(rng.uniform(*limits)) for limits in (self.gain_db, self.clip_level, self.opus_kbps)
        )
        clipped, telephone, opus = rng.random(3)
        return Channel(
            gain_db=gain_db,
            clip_level=clip_level if clipped < self.clip_probability else None,
            telephone=bool(telephone < self.telephone_probability),
            opus_kbps=opus_kbps if opus < self.opus_probability else None,
        )


@dataclass(frozen=True)
class Channel:
    """What happens to one mixture.

    Attributes:
        gain_db: Gain.
        clip_level: Where it is clipped, as a part of its peak; None: nowhere.
        telephone: It keeps the telephone band only.
        opus_kbps: Bit rate of the codec; None: no codec.
    """

    gain_db: float = 0.0
    clip_level: float | None = None
    telephone: bool = False
    opus_kbps: float | None = None

    @property
    def changes_nothing(self) -> bool:
        """What comes in goes out."""
        return self == Channel()

    def apply(self, mixture: np.ndarray, sample_rate: int) -> np.ndarray:
        """What arrives of a mixture (T,) float32: as many samples, none later, all within full scale.

        Raises:
            MissingExtraError: It needs the codec, and PyAV is not installed.
        """
        heard = mixture * np.float32(10 ** (self.gain_db / 20))
        ceiling = (
            1.0 if self.clip_level is None else self.clip_level * float(np.max(np.abs(heard), initial=0.0))
        )
        heard = np.clip(heard, -min(ceiling, 1.0), min(ceiling, 1.0))
        if self.telephone:
            heard = telephone_band(heard, sample_rate)
        if self.opus_kbps is not None:
            heard = opus_round_trip(heard, sample_rate, self.opus_kbps)
        return np.clip(heard, -1.0, 1.0).astype(np.float32)


def telephone_band(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Keep 300 to 3400 Hz of a waveform (T,): 50 dB less 200 Hz outside of it, by a filter that delays nothing.

    >>> tones = np.sin(2 * np.pi * np.array([[100.0], [1000.0]]) * np.arange(8000) / 8000)
    >>> [round(float(np.std(telephone_band(tone, 8000)[1000:-1000])), 2) for tone in tones]
    [0.0, 0.71]
    """
    from scipy.signal import fftconvolve, firwin

    taps = 2 * round(1.65 * sample_rate / _TRANSITION_HZ) + 1
    band = firwin(taps, TELEPHONE_HZ, fs=sample_rate, pass_zero=False)
    return np.asarray(fftconvolve(np.asarray(waveform, np.float64), band, mode="same"), np.float32)


def opus_round_trip(waveform: np.ndarray, sample_rate: int, kbps: float) -> np.ndarray:
    """Encode a waveform (T,) with Opus and decode it again, as long as before and not delayed.

    Raises:
        MissingExtraError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(feature="Opus in a channel", extra="codecs", package="av") from error
    feed_hz = max(sample_rate, _OPUS_HZ)
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = feed_hz, "mono", "flt"
    encoder.bit_rate, encoder.time_base = round(1000 * kbps), Fraction(1, feed_hz)
    encoder.options = {"compression_level": _OPUS_EFFORT}
    encoder.open()
    decoder = av.CodecContext.create("opus", "r")
    decoder.extradata = (
        encoder.extradata
    )  # how much silence the encoder put in front, which the decoder cuts off
    decoder.sample_rate, decoder.layout = _DECODED_HZ, "mono"
    size = encoder.frame_size
    fed = resample(waveform, sample_rate, feed_hz)
    fed = np.pad(fed, (0, -len(fed) % size + 2 * size))  # the encoder looks ahead: the end comes out later
    decoded: list[np.ndarray] = []
    for start in range(0, len(fed), size):
        frame = av.AudioFrame.from_ndarray(fed[None, start : start + size], format="flt", layout="mono")
        frame.sample_rate, frame.pts = feed_hz, start
        for packet in encoder.encode(frame):
            decoded += [heard.to_ndarray().reshape(-1) for heard in decoder.decode(packet)]
    return fit_length(resample(np.concatenate(decoded), _DECODED_HZ, sample_rate), len(waveform))
