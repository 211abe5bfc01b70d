"""Audio in and out: the only place that reads, writes, downmixes and resamples.

soundfile decodes WAV, FLAC, OGG (Opus, Vorbis), MP3 and more; what it cannot decode (m4a, ADTS AAC, AMR, webm, CAF with
Opus) goes to PyAV, where the extra `cse[codecs]` is installed. The content decides, never the name of the file.

Warnings that `Recording.warnings` may hold, by their first words:

- `low sample rate`: 4000 to 7999 Hz; speech above half the rate is not in the recording;
- `clipped`: at least 0.1 % of the samples are at full scale;
- `beyond full scale`: floating point samples above 4, usually integers that were not divided by their range;
- `channels cancel`: the mean of the channels is 20 dB below them; the loudest channel is used instead;
- `damaged`: decoding stopped early, or packets were skipped.
"""

from __future__ import annotations

import io
import math
import os
import warnings as python_warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from cse.decoding import AudioStream, open_stream
from cse.errors import CseError, InvalidAudioError, one_line
from cse.files import atomic_write

if TYPE_CHECKING:
    import torch

AudioSource: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | np.ndarray | torch.Tensor"

MIN_RATE_HZ, MAX_RATE_HZ, LOW_RATE_HZ = 4_000, 192_000, 8_000
MAX_CHANNELS = 32
MAX_DURATION_S = 4 * 3600.0
MAX_BYTES_IN_MEMORY = 2**30  # of encoded audio that comes as a stream
SILENT_PEAK = 1e-4
OPUS_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)

_FULL_SCALE, _CLIPPED_SHARE, _NO_AUDIO_SCALE = 0.999, 1e-3, 4.0
_CANCELLED_POWER = 1e-2  # of the mean of the channels, relative to the mean power of the channels
_FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "OPUS"),
    ".oga": ("OGG", "OPUS"),
    ".opus": ("OGG", "OPUS"),
}


@dataclass(frozen=True)
class Recording:
    """One channel of sound: `waveform` (T,) float32, full scale at ±1, at `sample_rate` Hz; where it came from."""

    waveform: np.ndarray
    sample_rate: int
    name: str
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / self.sample_rate


def read_audio(
    source: AudioSource,
    *,
    sample_rate: int | None = None,
    min_duration_s: float = 0.2,
    max_duration_s: float = MAX_DURATION_S,
) -> Recording:
    """Read a recording at its own rate, as the mean of its channels, and check that there is something to work on.

    Args:
        source: a path, encoded audio as bytes or binary file object (read from where it stands), or samples: an array or
            tensor (T,) or (channels, T), floating point with full scale at ±1 or integers with that of their type.
        sample_rate: rate of samples in Hz; encoded audio says its own.
        min_duration_s: the shortest recording that is of use.
        max_duration_s: the longest; asked of the header first, and of what has been decoded so far.

    Returns:
        The recording, with warnings (listed at the top of this module) for what is doubtful but usable.

    Raises:
        InvalidAudioError: no file, a folder, empty, undecodable, 0 or more than 32 channels, too short, too long, NaN or
            infinite, silent (never more than 1e-4 from its middle), a rate below 4000 or above 192000 Hz.
        MissingExtraError: the format needs the extra `codecs`.

    Example:
        >>> tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
        >>> recording = read_audio(np.stack([tone, tone]), sample_rate=16000)
        >>> recording.waveform.shape, recording.duration_s, recording.warnings
        ((8000,), 0.5, ('clipped: ...',))
    """
    recording, swing = _read(source, sample_rate, max_duration_s)
    if recording.duration_s < min_duration_s:
        raise InvalidAudioError(
            f"{recording.name}: got {recording.duration_s:.3f} s of audio, expected at least {min_duration_s:g} s"
        )
    if swing < SILENT_PEAK:
        hint = ""
        if isinstance(source, np.ndarray) and np.issubdtype(source.dtype, np.integer) and source.dtype.itemsize > 2:
            hint = f" of {source.dtype} (16-bit samples must come as int16)"
        raise InvalidAudioError(
            f"{recording.name}: is silent, it never exceeds {swing:.1e} of full scale{hint}; expected speech"
        )
    return recording


def load_waveform(path: str | os.PathLike[str], sample_rate: int) -> np.ndarray:
    """Load a file as one channel at the wanted rate: for training, simulation and metrics.

    Silence and any length above 0 are fine here.

    Returns:
        (T,) float32 at `sample_rate`.

    Raises:
        InvalidAudioError: as `read_audio`, but for silent and short files.
    """
    recording, _ = _read(path, None, MAX_DURATION_S)
    return resample(recording.waveform, recording.sample_rate, sample_rate)


# ---- reading


def _read(source: AudioSource, sample_rate: int | None, max_duration_s: float) -> tuple[Recording, float]:
    """The recording, and how far it swings from its middle (full scale is 1)."""
    if isinstance(source, np.ndarray) or _is_tensor(source):
        return _from_samples(_to_array(source), sample_rate, max_duration_s)
    if sample_rate is not None:
        raise InvalidAudioError(f"got sample_rate={sample_rate} with encoded audio, which says its own; leave it out")
    with _open(source) as (file, name):
        return _mix(lambda: open_stream(file, name), name, max_duration_s)


def _is_tensor(source: object) -> bool:
    # without importing torch: whoever has a tensor has imported it
    return type(source).__module__.partition(".")[0] == "torch" and hasattr(source, "detach")


def _to_array(source: Any) -> np.ndarray:
    if isinstance(source, np.ndarray):
        return source
    tensor = source.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":
        tensor = tensor.float()
    return np.asarray(tensor.numpy())


@contextmanager
def _open(source: Any) -> Iterator[tuple[BinaryIO, str]]:
    """The encoded audio as a seekable binary file, and its name for messages."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield _in_memory(bytes(source), "<bytes>"), "<bytes>"
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_dir():
            raise InvalidAudioError(f"{path}: is a folder, expected an audio file")
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise InvalidAudioError(f"{path}: no such file, expected an audio file") from None
        except (OSError, ValueError) as error:
            raise InvalidAudioError(f"{path}: cannot read: {getattr(error, 'strerror', None) or error}") from error
        with file:
            if not file.seekable():
                yield _in_memory(_read_all(file, str(path)), str(path)), str(path)
            elif os.fstat(file.fileno()).st_size == 0:
                raise InvalidAudioError(f"{path}: is empty (0 bytes), expected an audio file")
            else:
                yield file, str(path)
    elif callable(getattr(source, "read", None)):
        label = getattr(source, "name", None)
        name = label if isinstance(label, str) and label else "<file object>"
        yield _in_memory(_read_all(source, name), name), name
    else:
        raise InvalidAudioError(
            f"got {type(source).__name__}, expected a path, bytes, a binary file object, a NumPy array or a tensor"
        )


def _read_all(file: Any, name: str) -> bytes:
    """What is left in a file object; a pipe cannot seek, which formats with an index at the end need."""
    try:
        data = file.read(MAX_BYTES_IN_MEMORY + 1)
    except (OSError, ValueError) as error:
        raise InvalidAudioError(f"{name}: cannot read: {one_line(error)}") from error
    if not isinstance(data, bytes | bytearray):
        raise InvalidAudioError(f"{name}: read() gave {type(data).__name__}, expected bytes; open it in binary mode")
    if len(data) > MAX_BYTES_IN_MEMORY:
        raise InvalidAudioError(f"{name}: more than {MAX_BYTES_IN_MEMORY // 2**20} MB as a stream; pass it as a file")
    return bytes(data)


def _in_memory(data: bytes, name: str) -> io.BytesIO:
    if not data:
        raise InvalidAudioError(f"{name}: is empty (0 bytes), expected audio; is a file object at its end?")
    return io.BytesIO(data)


def _from_samples(samples: np.ndarray, sample_rate: int | None, max_duration_s: float) -> tuple[Recording, float]:
    name = "<samples>"
    if sample_rate is None:
        raise InvalidAudioError("got samples without their rate; pass sample_rate=... in Hz")
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | float | np.number) or sample_rate % 1:
        raise InvalidAudioError(f"got sample_rate={sample_rate!r}, expected a whole number of Hz")
    if samples.dtype.kind not in "iuf":
        raise InvalidAudioError(f"got samples of type {samples.dtype}, expected floating point in -1..1 or integers")
    if samples.ndim not in (1, 2):
        raise InvalidAudioError(f"got samples of shape {samples.shape}, expected (T,) or (channels, T)")
    samples = np.atleast_2d(samples)
    scale, middle = 1.0, 0.0
    if samples.dtype.kind in "iu":
        scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
        middle = scale if samples.dtype.kind == "u" else 0.0
    length = samples.shape[1]

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, length, 2**18):
            block = samples[:, start : start + 2**18].T
            yield ((block.astype(np.float64) - middle) / scale if scale != 1.0 else block).astype(np.float32)

    @contextmanager
    def open_samples() -> Iterator[AudioStream]:
        yield AudioStream(int(sample_rate), len(samples), length / max(1, int(sample_rate)), blocks())

    return _mix(open_samples, name, max_duration_s)


# ---- from channels to one


def _mix(
    open_again: Callable[[], AbstractContextManager[AudioStream]], name: str, max_duration_s: float
) -> tuple[Recording, float]:
    """Mean of the channels; where they cancel, the loudest one, for which the audio is decoded a second time."""
    with open_again() as stream:
        _check_header(stream, name, max_duration_s)
        mixer = _Mixer(stream, name, max_duration_s)
        waveform = mixer.run(None)
    notes = [*stream.warnings, *mixer.warnings()]
    if mixer.cancels():
        loudest = int(np.argmax(mixer.channel_power))
        with open_again() as stream:
            mixer = _Mixer(stream, name, max_duration_s)
            waveform = mixer.run(loudest)
        notes.append(f"channels cancel: their mean is near silence; channel {loudest + 1} of {stream.channels} is used")
    if not len(waveform):
        raise InvalidAudioError(f"{name}: got no samples (0 s of audio), expected speech")
    return Recording(waveform, stream.sample_rate, name, tuple(notes)), mixer.swing


def _check_header(stream: AudioStream, name: str, max_duration_s: float) -> None:
    if not MIN_RATE_HZ <= stream.sample_rate <= MAX_RATE_HZ:
        raise InvalidAudioError(
            f"{name}: got a sample rate of {stream.sample_rate} Hz, expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz; resample it"
        )
    if not 1 <= stream.channels <= MAX_CHANNELS:
        hint = "; is the array transposed? expected (channels, samples)" if stream.channels else ""
        raise InvalidAudioError(f"{name}: got {stream.channels} channels, expected 1 to {MAX_CHANNELS}{hint}")
    if stream.duration_s is not None and stream.duration_s > max_duration_s:
        raise _too_long(name, f"{stream.duration_s:.0f} s", max_duration_s)


def _too_long(name: str, got: str, max_duration_s: float) -> InvalidAudioError:
    return InvalidAudioError(f"{name}: got {got} of audio, expected at most {max_duration_s:g} s; cut it into parts")


class _Mixer:
    """Turns blocks of channels into one waveform and keeps what the checks need: power, clipped samples, extremes."""

    def __init__(self, stream: AudioStream, name: str, max_duration_s: float) -> None:
        self._stream = stream
        self._name = name
        self._max_duration_s = max_duration_s
        self._samples = 0
        self._clipped = 0
        self._peak = 0.0
        self._mean_power = 0.0
        self.channel_power = np.zeros(stream.channels)
        self._low, self._high = math.inf, -math.inf

    def run(self, channel: int | None) -> np.ndarray:
        max_frames = int(self._max_duration_s * self._stream.sample_rate)
        parts: list[np.ndarray] = []
        frames = 0
        for block in self._stream.blocks:
            frames += len(block)
            if frames > max_frames:
                raise _too_long(self._name, "more", self._max_duration_s)
            if not np.isfinite(block).all():
                raise InvalidAudioError(f"{self._name}: has NaN or infinite samples, expected finite ones in -1..1")
            mono = block.mean(axis=1, dtype=np.float32) if channel is None else block[:, channel]
            self._measure(block, mono)
            parts.append(np.ascontiguousarray(mono))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _measure(self, block: np.ndarray, mono: np.ndarray) -> None:
        magnitude = np.abs(block)
        self._samples += block.size
        self._clipped += int(np.count_nonzero(magnitude >= _FULL_SCALE))
        self._peak = max(self._peak, float(magnitude.max(initial=0.0)))
        self.channel_power += np.square(block, dtype=np.float64).sum(axis=0)
        self._mean_power += float(np.square(mono, dtype=np.float64).sum())
        self._low = min(self._low, float(mono.min(initial=math.inf)))
        self._high = max(self._high, float(mono.max(initial=-math.inf)))

    @property
    def swing(self) -> float:
        return max(0.0, (self._high - self._low) / 2)

    def cancels(self) -> bool:
        power = float(self.channel_power.mean())
        return power > 0 and self._mean_power < _CANCELLED_POWER * power

    def warnings(self) -> Iterator[str]:
        rate = self._stream.sample_rate
        if rate < LOW_RATE_HZ:
            yield f"low sample rate: {rate} Hz; speech above {rate // 2} Hz is not in the recording"
        share = self._clipped / max(1, self._samples)
        if self._peak > _NO_AUDIO_SCALE:
            yield f"beyond full scale: samples reach {self._peak:.4g}, expected -1..1; integers as floating point?"
        elif share >= _CLIPPED_SHARE:
            yield f"clipped: {100 * share:.1f} % of the samples are at full scale; the voice will be distorted"


# ---- rate and length


def resample(waveform: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Change the sample rate; sound above half the lower rate is filtered out. No delay.

    Args:
        waveform: (..., T), real.
        from_hz: its rate in Hz.
        to_hz: the wanted rate in Hz.

    Returns:
        (..., ceil(T * to_hz / from_hz)) float32.

    Example:
        >>> resample(np.zeros((2, 441)), 44100, 16000).shape
        (2, 160)
    """
    if from_hz <= 0 or to_hz <= 0:
        raise InvalidAudioError(f"cannot resample from {from_hz} to {to_hz} Hz, expected rates above 0")
    waveform = np.asarray(waveform, dtype=np.float32)
    divisor = math.gcd(from_hz, to_hz)
    down, up = from_hz // divisor, to_hz // divisor
    if down == up or waveform.size == 0:
        length = -(-waveform.shape[-1] * up // down)
        return waveform.copy() if length == waveform.shape[-1] else np.zeros((*waveform.shape[:-1], length), np.float32)
    flat = waveform.reshape(-1, waveform.shape[-1])
    # torchaudio's kernel grows with up x down: right for the usual rates, gigabytes for 47999 to 16000 Hz
    convert = _resample_sinc if up * (down + 2 * _SINC_WIDTH * max(up, down) // up) <= 2**21 else _resample_polyphase
    return convert(flat, down, up).reshape(*waveform.shape[:-1], -1)


_SINC_WIDTH = 32  # zero crossings of the filter on either side
_RESAMPLE_BLOCK = 2**20


def _resample_sinc(waveform: np.ndarray, down: int, up: int) -> np.ndarray:
    """Windowed-sinc interpolation (torchaudio), in blocks that overlap by the filter's length: bounded memory."""
    import torch
    from torchaudio.functional import resample as torchaudio_resample

    length = waveform.shape[-1]
    block = -(-_RESAMPLE_BLOCK // down) * down
    overlap = -(-2 * _SINC_WIDTH * max(1, -(-down // up)) // down) * down
    result = np.empty((len(waveform), -(-length * up // down)), np.float32)
    for start in range(0, length, block):
        left = max(0, start - overlap)
        part = torch.from_numpy(np.ascontiguousarray(waveform[:, left : start + block + overlap]))
        with torch.inference_mode():
            converted = torchaudio_resample(part, down, up, lowpass_filter_width=_SINC_WIDTH).numpy()
        first = start // down * up
        last = min(result.shape[1], (start + block) // down * up)
        skip = (start - left) // down * up
        result[:, first:last] = converted[:, skip : skip + last - first]
    return result


def _resample_polyphase(waveform: np.ndarray, down: int, up: int) -> np.ndarray:
    """The same in polyphase form (SciPy): its filter grows with max(up, down) only."""
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(waveform, up, down, axis=-1), np.float32)


def fit_length(waveform: np.ndarray, length: int) -> np.ndarray:
    """Cut a waveform (..., T) at the end, or add silence there, so that it is (..., length).

    Example:
        >>> fit_length(np.ones(2, np.float32), 3)
        array([1., 1., 0.], dtype=float32)
    """
    missing = length - waveform.shape[-1]
    if missing <= 0:
        return waveform[..., :length]
    return np.pad(waveform, [(0, 0)] * (waveform.ndim - 1) + [(0, missing)])


# ---- writing


def write_audio(path: str | os.PathLike[str], waveform: np.ndarray | torch.Tensor, sample_rate: int) -> None:
    """Write a waveform as `.wav` or `.flac` (16 bit), or as `.ogg`, `.oga`, `.opus` (Opus): complete or not at all.

    Samples beyond ±1 are clipped, with a Python warning. Opus knows 8, 12, 16, 24 and 48 kHz: another rate is resampled
    to the next higher one of these (above 48 kHz to 48 kHz).

    Args:
        path: where to; the folder must exist.
        waveform: (T,) or (channels, T), floating point, full scale at ±1.
        sample_rate: its rate in Hz.

    Raises:
        InvalidAudioError: an unknown suffix, samples that are not finite, a wrong shape.
        CseError: the folder is missing or not writable.
    """
    import soundfile

    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise InvalidAudioError(
            f"{path}: cannot write the format {path.suffix or 'without a suffix'}, expected {', '.join(_FORMATS)}"
        )
    container, subtype = _FORMATS[path.suffix.lower()]
    samples = _to_write(path, _to_array(waveform))
    if subtype == "OPUS" and sample_rate not in OPUS_RATES_HZ:
        supported = min((rate for rate in OPUS_RATES_HZ if rate > sample_rate), default=OPUS_RATES_HZ[-1])
        samples, sample_rate = np.clip(resample(samples, sample_rate, supported), -1.0, 1.0), supported
    with atomic_write(path) as beside:
        try:
            with soundfile.SoundFile(
                beside, "w", samplerate=sample_rate, channels=len(samples), format=container, subtype=subtype
            ) as file:
                # libsndfile's Ogg encoders put a whole block on the stack
                for start in range(0, samples.shape[1], 2**16):
                    file.write(samples[:, start : start + 2**16].T)
        except soundfile.LibsndfileError as error:
            raise CseError(f"{path}: cannot write: {one_line(error).rpartition(': ')[2]}") from error


def _to_write(path: Path, samples: np.ndarray) -> np.ndarray:
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2) or 0 in samples.shape:
        raise InvalidAudioError(
            f"{path}: cannot write {samples.dtype} of shape {samples.shape}, expected floating point (T,) or (channels, T)"
        )
    samples = np.atleast_2d(samples).astype(np.float32)
    if not np.isfinite(samples).all():
        raise InvalidAudioError(f"{path}: cannot write NaN or infinite samples, expected finite ones in -1..1")
    peak = float(np.abs(samples).max())
    if peak > 1.0:
        python_warnings.warn(f"{path}: samples reach {peak:.3g} and are clipped to -1..1", UserWarning, stacklevel=3)
        samples = np.clip(samples, -1.0, 1.0)
    return samples
