"""What soundfile cannot decode goes to PyAV: the voice notes of messengers and browsers."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cse.audio import read_audio, resample
from cse.errors import CseError, InvalidAudioError, MissingExtraError

RATE_HZ = 48000


def speech_like(duration_s: float = 2.0, seed: int = 0) -> np.ndarray:
    """Tones that change every 100 ms, so that a shift in time cannot go unnoticed."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(0.1 * RATE_HZ)) / RATE_HZ
    tones = [np.sin(2 * np.pi * rng.uniform(200, 1500) * time_s) for _ in range(int(duration_s * 10))]
    return (0.4 * np.concatenate(tones)).astype(np.float32)


def encode(container: str, codec: str, rate_hz: int, samples: np.ndarray, layout: str = "mono") -> bytes:
    av = pytest.importorskip("av", reason="the extra [codecs] is not installed")
    file = io.BytesIO()
    packed = resample(np.atleast_2d(samples), RATE_HZ, rate_hz).T.reshape(1, -1)
    try:
        with av.open(file, "w", format=container) as output:
            stream = output.add_stream(codec, rate=rate_hz, layout=layout)
            converter = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate_hz)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate, frame.pts = rate_hz, 0
            fifo = av.AudioFifo()
            for converted in converter.resample(frame):
                fifo.write(converted)
            while part := fifo.read(stream.codec_context.frame_size or 1024, partial=True):
                output.mux(stream.encode(part))
            output.mux(stream.encode(None))
    except (av.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        pytest.skip(f"this build of FFmpeg cannot write {codec} into {container}: {error}")
    return file.getvalue()


def similarity(got: np.ndarray, expected: np.ndarray) -> tuple[float, int]:
    """Largest normalised correlation over all shifts, and the shift in samples."""
    length = 2 * max(len(got), len(expected))
    spectrum = np.fft.rfft(got, length) * np.conj(np.fft.rfft(expected, length))
    correlation = np.fft.irfft(spectrum)
    shift = int(np.argmax(correlation))
    best = correlation[shift] / np.sqrt(np.sum(got.astype(float) ** 2) * np.sum(expected.astype(float) ** 2))
    return float(best), shift if shift < length // 2 else shift - length


VOICE_NOTES = {
    "m4a": ("ipod", "aac", 44100),
    "mp4": ("mp4", "aac", 48000),
    "3gp": ("3gp", "aac", 16000),
    "adts-aac": ("adts", "aac", 44100),
    "webm-opus": ("webm", "libopus", 48000),
    "matroska": ("matroska", "aac", 48000),
    "caf-alac": ("caf", "alac", 44100),
    "mpeg-ts": ("mpegts", "aac", 48000),
    "amr-nb": ("amr", "libopencore_amrnb", 8000),
}


@pytest.mark.parametrize("form", VOICE_NOTES.values(), ids=VOICE_NOTES)
def test_voice_notes(tmp_path: Path, form: tuple[str, str, int]) -> None:
    samples = speech_like()
    data = encode(*form, samples)
    (tmp_path / "note.ogg").write_bytes(data)  # a wrong suffix
    recording = read_audio(data)
    assert recording.sample_rate == form[2]
    assert recording.waveform.dtype == np.float32
    assert recording.warnings == ()
    assert recording.duration_s == pytest.approx(2.0, abs=0.13)  # encoders add up to two frames of their own
    best, shift = similarity(resample(recording.waveform, form[2], RATE_HZ), samples)
    assert best > (0.7 if form[1].startswith("libo") and form[2] == 8000 else 0.9)
    assert 0 <= shift < 0.13 * RATE_HZ
    for source in (tmp_path / "note.ogg", io.BytesIO(data)):
        np.testing.assert_array_equal(read_audio(source).waveform, recording.waveform)


@pytest.mark.parametrize(
    ("codec", "layout", "channels"),
    [("flac", "stereo", 2), ("flac", "5.1", 6), ("flac", "7.1", 8), ("aac", "7.1", 8)],
)
def test_channels_are_averaged(codec: str, layout: str, channels: int) -> None:
    samples = np.stack([speech_like(seed=seed) for seed in range(channels)]) / channels
    recording = read_audio(encode("matroska", codec, 48000, samples, layout))
    assert similarity(recording.waveform, samples.mean(axis=0))[0] > (0.999 if codec == "flac" else 0.9)
    assert np.abs(recording.waveform).max() == pytest.approx(np.abs(samples.mean(axis=0)).max(), rel=0.1)


def test_channels_that_cancel_are_decoded_again() -> None:
    samples = speech_like()
    recording = read_audio(encode("caf", "alac", 48000, np.stack([samples, -0.9 * samples]), "stereo"))
    assert [warning.partition(":")[0] for warning in recording.warnings] == ["channels cancel"]
    np.testing.assert_allclose(recording.waveform[: len(samples)], samples, atol=1e-3)


def caf_with_opus(packets: list[bytes], sample_rate: int = 24000, frames: int = 480) -> bytes:
    """A Core Audio file as iMessage sends it; FFmpeg reads these and cannot write them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return kind + struct.pack(">q", len(content)) + content

    def variable_length(value: int) -> bytes:
        return bytes([0x80 | value >> 7, value & 0x7F]) if value > 127 else bytes([value])

    description = struct.pack(">d4sIIIII", sample_rate, b"opus", 0, 0, frames, 1, 0)
    table = struct.pack(">qqii", len(packets), len(packets) * frames, 0, 0)
    table += b"".join(variable_length(len(packet)) for packet in packets)
    return (
        b"caff" + struct.pack(">HH", 1, 0) + chunk(b"desc", description) + chunk(b"pakt", table)
        + chunk(b"data", struct.pack(">I", 0) + b"".join(packets))
    )  # fmt: skip


def test_caf_with_opus_as_imessage_sends_it() -> None:
    av = pytest.importorskip("av", reason="the extra [codecs] is not installed")
    samples = speech_like()
    with av.open(io.BytesIO(encode("webm", "libopus", 48000, samples))) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    data = caf_with_opus(packets)
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.SoundFile(io.BytesIO(data))
    recording = read_audio(data)
    assert recording.duration_s == pytest.approx(2.0, abs=0.05)
    assert similarity(resample(recording.waveform, recording.sample_rate, RATE_HZ), samples)[0] > 0.9


def test_a_video_without_sound_has_no_audio_track() -> None:
    av = pytest.importorskip("av", reason="the extra [codecs] is not installed")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            output.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24"))
            )
        output.mux(stream.encode(None))
    with pytest.raises(InvalidAudioError, match="<bytes>: has no audio track, expected one"):
        read_audio(file.getvalue())


# ---- limits


def test_too_long_by_the_header() -> None:
    data = encode("ipod", "aac", 44100, speech_like())
    with pytest.raises(InvalidAudioError, match=r"got 2\.\d s of audio, expected at most 1 s"):
        read_audio(data, max_duration_s=1)


def test_too_long_stops_the_decoding_where_the_header_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av", reason="the extra [codecs] is not installed")
    data = encode("adts", "aac", 48000, np.tile(speech_like(), 30))
    decoded: list[int] = []

    class Counting:
        def __init__(self, **options: Any) -> None:
            self._resampler = resampler(**options)

        def resample(self, frame: Any) -> Any:
            decoded.append(frame.samples if frame is not None else 0)
            return self._resampler.resample(frame)

    resampler = av.AudioResampler
    monkeypatch.setattr(av, "AudioResampler", Counting)
    with pytest.raises(InvalidAudioError, match="of audio, expected at most 3 s"):
        read_audio(data, max_duration_s=3)
    assert sum(decoded) < 10 * RATE_HZ


@pytest.mark.parametrize("form", VOICE_NOTES.values(), ids=VOICE_NOTES)
def test_damaged_files_give_sound_or_one_line(form: tuple[str, str, int], rng: np.random.Generator) -> None:
    clean = encode(*form, speech_like())
    for _ in range(15):
        data = bytearray(clean)
        for position in rng.integers(0, len(data) if rng.random() < 0.7 else 200, rng.integers(1, 10)):
            data[position] = rng.integers(256)
        try:
            read_audio(
                bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.5 else data),
                max_duration_s=60,
            )
        except CseError as error:
            assert "\n" not in str(error)


def test_a_cut_file_says_so() -> None:
    data = encode("adts", "aac", 44100, speech_like())
    recording = read_audio(data[: len(data) // 2])
    assert recording.duration_s == pytest.approx(1.0, abs=0.2)
    assert recording.warnings
    assert recording.warnings[0].startswith("damaged: 1 packets do not decode")
    whole = encode("ipod", "aac", 44100, speech_like())
    with pytest.raises(
        InvalidAudioError, match="no audio that can be decoded .* complete from its beginning"
    ):
        read_audio(whole[: len(whole) // 2])  # an m4a has its index at the end


def test_playlists_open_nothing(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra [codecs] is not installed")
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, speech_like(), RATE_HZ)
    playlists = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
        f"v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\na=file:{secret}\n",
    )
    for playlist in playlists:
        (tmp_path / "list.m3u8").write_text(playlist)
        with pytest.raises(InvalidAudioError, match="no audio that can be decoded"):
            read_audio(tmp_path / "list.m3u8")


# ---- without PyAV


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x20ftypM4A \0\0\0\0",
        b"\xff\xf1P\x80\x02\x1f\xfc",
        b"#!AMR\n<",
        b"#!AMR-WB\n",
        b"caff\0\x01\0\0",
        b"\x1aE\xdf\xa3\x9fB\x86",
    ],
    ids=["m4a", "adts", "amr", "amr-wb", "caf", "webm"],
)
def test_without_pyav_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, head: bytes
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "note.m4a").write_bytes(head + bytes(1000))
    with pytest.raises(MissingExtraError, match=r'note\.m4a: .* pip install "cse\[codecs\]"'):
        read_audio(tmp_path / "note.m4a")


def test_without_pyav_text_is_no_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        InvalidAudioError, match=r'no audio that can be decoded .*pip install "cse\[codecs\]"'
    ):
        read_audio(b"hello world" * 100)


def test_without_pyav_the_formats_of_soundfile_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    file = io.BytesIO()
    soundfile.write(file, speech_like(), RATE_HZ, format="OGG", subtype="OPUS")
    assert read_audio(file.getvalue()).duration_s == 2.0
