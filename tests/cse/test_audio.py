"""Whatever people have as audio becomes one float32 waveform, or one line that says why not."""

from __future__ import annotations

import io
import math
import os
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from cse import decoding, resampling
from cse.audio import fit_length, load_waveform, read_audio, resample
from cse.errors import CseError, InvalidAudioError


def tone(
    duration_s: float = 0.5, sample_rate: int = 16000, hz: float = 440.0, peak: float = 0.5
) -> np.ndarray:
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    return (peak * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def encode(samples: np.ndarray, sample_rate: int = 16000, **form: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples.T, sample_rate, **(form or {"format": "WAV"}))
    return file.getvalue()


def similarity_db(got: np.ndarray, expected: np.ndarray) -> float:
    assert got.shape == expected.shape
    return float(10 * np.log10(np.sum(expected**2) / (np.sum((got - expected) ** 2) + 1e-20)))


def refused(source: Any, message: str, **options: Any) -> None:
    with pytest.raises(InvalidAudioError, match=message) as caught:
        read_audio(source, **options)
    assert "\n" not in str(caught.value)


# ---- what can be read


@pytest.mark.parametrize(
    ("form", "least_db"),
    [
        ({"format": "WAV", "subtype": "PCM_16"}, 80),
        ({"format": "WAV", "subtype": "PCM_24"}, 100),
        ({"format": "WAV", "subtype": "FLOAT"}, 150),
        ({"format": "WAV", "subtype": "PCM_U8"}, 35),
        ({"format": "WAV", "subtype": "ULAW"}, 30),
        ({"format": "WAVEX", "subtype": "PCM_16"}, 80),
        ({"format": "FLAC"}, 80),
        ({"format": "AIFF"}, 80),
        ({"format": "OGG", "subtype": "VORBIS"}, 15),
        ({"format": "OGG", "subtype": "OPUS"}, 12),
        ({"format": "MP3"}, 20),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_formats_of_soundfile_keep_rate_length_and_sound(form: dict[str, str], least_db: float) -> None:
    waveform = tone(2.0)
    recording = read_audio(encode(waveform, **form))
    assert recording.waveform.dtype == np.float32
    assert (recording.sample_rate, recording.duration_s, recording.warnings) == (16000, 2.0, ())
    inside = slice(8000, -8000)  # codecs take a moment to follow
    assert similarity_db(recording.waveform[inside], waveform[inside]) > least_db


def test_path_bytes_and_file_objects_are_the_same(tmp_path: Path) -> None:
    data = encode(tone())
    path = tmp_path / "note.wav"
    path.write_bytes(data)
    expected = read_audio(data).waveform
    with path.open("rb") as file, path.open("rb") as skipped:
        for source in (
            path,
            str(path),
            os.fspath(path),
            bytearray(data),
            memoryview(data),
            io.BytesIO(data),
            file,
        ):
            np.testing.assert_array_equal(read_audio(source).waveform, expected)  # type: ignore[arg-type]
        skipped.seek(0)
        assert read_audio(skipped).name == str(path)
    assert read_audio(path).name == str(path)
    assert read_audio(data).name == "<bytes>"


@pytest.mark.parametrize("name", ["note.txt", "note", "note.raw", "note.mp3", "note.pcm", "nöte 🌸.ogg"])
def test_the_content_decides_and_not_the_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(encode(tone()))
    assert read_audio(tmp_path / name).sample_rate == 16000


def test_a_file_object_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"a header of some protocol" + encode(tone()))
    file.seek(len(b"a header of some protocol"))
    assert read_audio(file).duration_s == 0.5


def test_a_pipe_can_be_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = encode(tone())
    writer = threading.Thread(target=lambda: pipe.write_bytes(data), daemon=True)
    writer.start()
    assert read_audio(pipe).duration_s == 0.5
    writer.join(timeout=10)


def test_a_wav_written_through_a_pipe_has_no_length_in_its_header() -> None:
    data = bytearray(encode(tone()))
    struct.pack_into("<I", data, 4, 0xFFFFFFFF)
    struct.pack_into("<I", data, data.index(b"data") + 4, 0xFFFFFFFF)
    assert read_audio(bytes(data)).duration_s == 0.5


@pytest.mark.parametrize("sample_rate", [4000, 8000, 11025, 44100, 48000, 96000, 192000])
def test_rates(sample_rate: int) -> None:
    recording = read_audio(encode(tone(sample_rate=sample_rate), sample_rate))
    assert (recording.sample_rate, len(recording.waveform)) == (sample_rate, round(0.5 * sample_rate))
    assert bool(recording.warnings) == (sample_rate < 8000)


@pytest.mark.parametrize("channels", [1, 2, 5, 8, 32])
def test_channels_become_their_mean(channels: int, rng: np.random.Generator) -> None:
    samples = rng.uniform(-0.5, 0.5, (channels, 8000)).astype(np.float32)
    for recording in (
        read_audio(samples, sample_rate=16000),
        read_audio(encode(samples, format="WAV", subtype="FLOAT")),
    ):
        np.testing.assert_allclose(recording.waveform, samples.mean(axis=0), atol=1e-6)
        assert recording.warnings == ()


# ---- arrays and tensors


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", ">i2", "float16", "float64", ">f4"]
)
def test_types_of_samples(dtype: str) -> None:
    waveform = tone().astype(np.float64)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        samples = waveform.astype(kind)
    else:
        scale = 2.0 ** (8 * kind.itemsize - 1)
        samples = np.round(waveform * scale + (scale if kind.kind == "u" else 0)).astype(kind)
    recording = read_audio(samples, sample_rate=16000)
    assert recording.waveform.dtype == np.float32
    assert recording.waveform.flags.c_contiguous
    np.testing.assert_allclose(recording.waveform, waveform, atol=0.01 if kind.itemsize == 1 else 1e-3)


def test_tensors() -> None:
    waveform = tone()
    for tensor in (
        torch.from_numpy(waveform),
        torch.from_numpy(waveform)[None].requires_grad_(),
        torch.from_numpy(waveform).to(torch.bfloat16),
        torch.nn.Parameter(torch.from_numpy(waveform)),
        (torch.from_numpy(waveform) * 32768).to(torch.int16),
    ):
        np.testing.assert_allclose(read_audio(tensor, sample_rate=16000).waveform, waveform, atol=3e-3)


def test_the_array_of_the_caller_is_neither_changed_nor_kept() -> None:
    samples = tone()
    before = samples.copy()
    recording = read_audio(samples, sample_rate=16000)
    assert not np.shares_memory(recording.waveform, samples)
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("sample_rate", [np.int64(16000), 16000.0, np.float32(16000)])
def test_rates_of_other_types(sample_rate: Any) -> None:
    recording = read_audio(tone(), sample_rate=sample_rate)
    assert type(recording.sample_rate) is int


@pytest.mark.parametrize(
    ("samples", "sample_rate", "message"),
    [
        (tone(), None, "got samples without their rate"),
        (tone(), 3999, "got a sample rate of 3999 Hz, expected 4000 to 192000 Hz"),
        (tone(), 192001, "got a sample rate of 192001 Hz"),
        (tone(), 0, "got a sample rate of 0 Hz"),
        (tone(), -16000, "got a sample rate of -16000 Hz"),
        (tone(), 16000.5, "expected a whole number of Hz"),
        (tone(), float("nan"), "expected a whole number of Hz"),
        (tone(), True, "got sample_rate=True"),
        (tone(), "16000", "got sample_rate='16000'"),
        (np.zeros((0, 8000), np.float32), 16000, "got 0 channels, expected 1 to 32"),
        (np.zeros((2, 0), np.float32), 16000, "got no samples"),
        (np.zeros(0, np.float32), 16000, "got no samples"),
        (np.tile(tone(), (50, 1)), 16000, "got 50 channels, expected 1 to 32"),
        (np.tile(tone(), (2, 1)).T, 16000, r"is the array transposed\? expected \(channels, samples\)"),
        (tone().reshape(1, 1, -1), 16000, r"got samples of shape \(1, 1, 8000\)"),
        (np.array(1.0), 16000, r"got samples of shape \(\)"),
        (tone() > 0, 16000, "got samples of type bool"),
        (tone().astype(np.complex64), 16000, "got samples of type complex64"),
        (np.array(["a", "b"]), 16000, "got samples of type <U1"),
        (np.array([object()] * 8000), 16000, "got samples of type object"),
        (np.array([1, 2, None]), 16000, "got samples of type object"),
    ],
)
def test_samples_that_are_no_recording(samples: np.ndarray, sample_rate: Any, message: str) -> None:
    refused(samples, message, sample_rate=sample_rate)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite(value: float) -> None:
    samples = tone()
    samples[-1] = value
    refused(samples, "has NaN or infinite samples", sample_rate=16000)
    refused(encode(samples, format="WAV", subtype="FLOAT"), "<bytes>: has NaN or infinite samples")


def test_encoded_audio_says_its_own_rate() -> None:
    refused(encode(tone()), "got sample_rate=16000 with encoded audio", sample_rate=16000)


def test_a_pair_says_its_own_rate() -> None:
    for samples in (tone(), torch.from_numpy(tone())):
        recording = read_audio((samples, 16000))
        assert recording.sample_rate == 16000 and np.array_equal(recording.waveform, tone())
    refused((tone(), 16000), "got sample_rate=8000 with a pair", sample_rate=8000)
    refused((16000, tone()), r"got a tuple of \(int, ndarray\), expected a pair \(samples, sample_rate\)")
    refused(("note.ogg", 16000), r"got a tuple of \(str, int\)")
    refused((tone(), "16 kHz"), "got sample_rate='16 kHz', expected a whole number")


@pytest.mark.parametrize("source", [None, 5, [0.0] * 8000, {"a": 1}])
def test_other_types(source: Any) -> None:
    refused(source, "expected a path, bytes, a binary file object, an array or a tensor")


# ---- what is wrong with files


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.wav", r"absent\.wav: no such file"),
        ("", "is a folder, expected an audio file"),
        ("x" * 300, "cannot read: File name too long"),
        ("a\0b", "cannot read"),
    ],
)
def test_no_file(tmp_path: Path, name: str, message: str) -> None:
    refused(f"{tmp_path}/{name}", message)


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    refused(tmp_path / "a.wav", r"a\.wav: is empty \(0 bytes\)")
    refused(b"", "is empty .*is a file object at its end")
    at_end = io.BytesIO(encode(tone()))
    at_end.read()
    refused(at_end, "is a file object at its end")


@pytest.mark.parametrize(
    "data",
    [
        b"hello world, this is a text\n" * 50,
        b"\0" * 10_000,
        bytes(np.random.default_rng(0).integers(0, 256, 100_000, dtype=np.uint8)),
        b"\xff\xfb\x90\x64" + bytes(np.random.default_rng(1).integers(0, 256, 5_000, dtype=np.uint8)),
        b"RIFF\x24\0\0\0WAVE",
        b"OggS",
        encode(tone())[:30],
        encode(tone(), format="OGG", subtype="OPUS")[:60],
        encode(tone(), format="FLAC")[:20],
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
    ],
    ids=[
        "text",
        "zeros",
        "noise",
        "mp3-noise",
        "riff",
        "oggs",
        "wav-cut",
        "opus-cut",
        "flac-cut",
        "playlist",
        "concat",
    ],
)
def test_undecodable(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "note.ogg").write_bytes(data)
    refused(tmp_path / "note.ogg", r"note\.ogg: no audio that can be decoded")
    refused(data, "no audio that can be decoded")


def test_a_header_of_zero_channels() -> None:
    data = bytearray(encode(tone()))
    struct.pack_into("<H", data, 22, 0)
    refused(bytes(data), "no audio that can be decoded|got 0 channels")


def test_a_file_of_fifty_channels() -> None:
    refused(encode(np.tile(tone(), (50, 1))), "got 50 channels, expected 1 to 32")


@pytest.mark.parametrize("sample_rate", [2000, 384000])
def test_a_file_of_a_rate_that_no_speech_has(sample_rate: int) -> None:
    refused(encode(tone(sample_rate=sample_rate), sample_rate), f"got a sample rate of {sample_rate} Hz")


def test_too_short_is_less_than_the_minimum() -> None:
    refused(tone(0.19), r"got 0\.190 s of audio, expected at least 0\.2 s", sample_rate=16000)
    assert read_audio(tone(0.2), sample_rate=16000).duration_s == 0.2
    assert read_audio(tone(0.01), sample_rate=16000, min_duration_s=0).duration_s == 0.01


@pytest.mark.parametrize("peak", [0.0, 0.9e-4])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_silence(peak: float, offset: float) -> None:
    refused(tone(peak=peak) + np.float32(offset), "is silent", sample_rate=16000)


def test_quiet_is_not_silent() -> None:
    assert read_audio(tone(peak=2e-4), sample_rate=16000).warnings == ()


def test_integers_of_the_wrong_width_are_explained() -> None:
    samples = (tone() * 32767).astype(np.int64)
    refused(
        samples,
        r"is silent, .* of int64 \(are these 16-bit samples\? pass them as int16\)",
        sample_rate=16000,
    )


def test_text_files_and_broken_file_objects() -> None:
    refused(io.StringIO("text"), "read.. gave str, expected bytes; open it in binary mode")

    class Broken(io.RawIOBase):
        name = "broken.wav"

        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    refused(Broken(), r"broken\.wav: cannot read: Input/output error")


def test_streams_are_not_read_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES_IN_MEMORY", 2**20)
    refused(Path("/dev/zero"), "more than 1 MB as a stream")


# ---- length


def test_too_long_is_seen_in_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(tone(3.0))
    monkeypatch.setattr(
        soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded before the header was checked")
    )
    refused(data, r"got 3\.0 s of audio, expected at most 2 s; cut it into parts", max_duration_s=2)


def test_too_long_stops_the_decoding_where_the_header_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(tone(60.0, 8000), 8000, format="MP3")  # of an MP3 the length is only known at its end
    frames: list[int] = []
    read = soundfile.SoundFile.read

    def counting(*args: Any, **options: Any) -> np.ndarray:
        block = read(*args, **options)
        frames.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    refused(data, "got more of audio, expected at most 10 s", max_duration_s=10)
    assert sum(frames) < 20 * 8000


def test_exactly_as_long_as_allowed() -> None:
    assert read_audio(encode(tone(2.0)), max_duration_s=2.0).duration_s == 2.0


# ---- warnings


def warned(samples: np.ndarray, *, sample_rate: int = 16000) -> list[str]:
    return [warning.partition(":")[0] for warning in read_audio(samples, sample_rate=sample_rate).warnings]


def test_warning_of_a_low_rate() -> None:
    assert warned(tone(sample_rate=7999), sample_rate=7999) == ["low sample rate"]
    assert warned(tone(sample_rate=8000), sample_rate=8000) == []


@pytest.mark.parametrize(("clipped", "expected"), [(7, []), (8, ["clipped"])])
def test_warning_of_clipping_at_one_sample_in_a_thousand(clipped: int, expected: list[str]) -> None:
    samples = tone()
    samples[:clipped] = 1.0
    assert warned(samples) == expected
    assert warned((samples * 32767).astype(np.int16)) == expected
    assert warned(-samples) == expected


def test_warning_of_clipping_in_one_of_two_channels() -> None:
    loud = np.clip(tone(peak=3.0), -1, 1)
    assert warned(np.stack([loud, tone(hz=300)])) == ["clipped"]


def test_warning_of_integers_as_floating_point() -> None:
    samples = tone() * 32768
    assert warned(samples) == ["beyond full scale"]
    np.testing.assert_allclose(read_audio(samples, sample_rate=16000).waveform, samples)


def test_channels_that_cancel_give_the_loudest() -> None:
    loud, quiet = tone(peak=0.5), tone(peak=0.45)
    for source, options in (
        (np.stack([quiet, -loud]), {"sample_rate": 16000}),
        (encode(np.stack([quiet, -loud]), format="WAV", subtype="FLOAT"), {}),
    ):
        recording = read_audio(source, **options)  # type: ignore[arg-type]
        assert [w.partition(":")[0] for w in recording.warnings] == ["channels cancel"]
        assert "channel 2 of 2" in recording.warnings[0]
        np.testing.assert_allclose(recording.waveform, -loud, atol=1e-6)


def test_one_talker_per_channel_does_not_cancel(rng: np.random.Generator) -> None:
    assert warned(rng.uniform(-0.5, 0.5, (32, 8000))) == []
    one_of_many = np.zeros((32, 8000), np.float32)
    one_of_many[3] = tone()
    assert warned(one_of_many) == []


@pytest.mark.parametrize("form", [{"format": "FLAC"}, {"format": "WAV"}])
def test_a_file_cut_in_the_middle_gives_what_is_there(form: dict[str, str]) -> None:
    data = encode(tone(4.0) + np.random.default_rng(0).normal(0, 0.01, 64000).astype(np.float32), **form)
    recording = read_audio(data[: len(data) // 2])
    assert 1.0 < recording.duration_s < 3.0
    assert all(warning.startswith("damaged: ") for warning in recording.warnings)
    assert bool(recording.warnings) == (form["format"] == "FLAC")


@pytest.mark.parametrize(
    "form", [{"format": "WAV"}, {"format": "FLAC"}, {"format": "OGG", "subtype": "OPUS"}, {"format": "MP3"}]
)
def test_damaged_bytes_never_cause_another_error(form: dict[str, str], rng: np.random.Generator) -> None:
    clean = encode(tone(4.0), **form)
    decoded = 0
    for _ in range(60):
        data = bytearray(clean)
        for position in rng.integers(0, len(data) if rng.random() < 0.7 else 300, rng.integers(1, 5)):
            data[position] = rng.integers(256)
        try:
            read_audio(
                bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data),
                max_duration_s=60,
            )
            decoded += 1
        except CseError as error:
            assert "\n" not in str(error)
    assert 0 < decoded < 60


# ---- load_waveform


def test_load_waveform_resamples_mixes_and_takes_silence_and_short_files(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(1.0, 44100), tone(1.0, 44100)]).T, 44100)
    loaded = load_waveform(tmp_path / "a.wav", 16000)
    assert loaded.dtype == np.float32
    assert similarity_db(loaded[1000:-1000], tone(1.0)[1000:-1000]) > 60
    soundfile.write(tmp_path / "silent.wav", np.zeros(100), 16000)
    np.testing.assert_array_equal(load_waveform(tmp_path / "silent.wav", 8000), np.zeros(50, np.float32))
    with pytest.raises(InvalidAudioError, match="no such file"):
        load_waveform(tmp_path / "absent.wav", 16000)


# ---- resample


RATES = [
    (48000, 16000),
    (44100, 16000),
    (16000, 44100),
    (16000, 8000),
    (8000, 16000),
    (22050, 48000),
    (192000, 8000),
    (47999, 16000),
]


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_resampled_tone_is_the_tone_at_the_other_rate(from_hz: int, to_hz: int) -> None:
    hz = 0.4 * min(from_hz, to_hz)
    expected = tone(1.0, to_hz, hz)
    inside = slice(to_hz // 10, -to_hz // 10)
    resampled = resample(tone(1.0, from_hz, hz), from_hz, to_hz)
    assert resampled.dtype == np.float32
    assert similarity_db(resampled[inside], expected[inside]) > 50


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in RATES if pair[0] > pair[1]])
def test_what_does_not_fit_the_lower_rate_is_filtered_out(from_hz: int, to_hz: int) -> None:
    resampled = resample(tone(1.0, from_hz, 0.6 * to_hz), from_hz, to_hz)
    assert np.abs(resampled[to_hz // 10 : -to_hz // 10]).max() < 0.5 * 10 ** (-50 / 20)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES[:-1])
@pytest.mark.parametrize("length", [0, 1, 2, 159, 160, 161, 1000, 44101])
def test_resampled_length(from_hz: int, to_hz: int, length: int) -> None:
    expected = math.ceil(length * to_hz / from_hz)
    assert resample(np.ones(length, np.float32), from_hz, to_hz).shape == (expected,)
    assert resample(np.ones((2, 3, length)), from_hz, to_hz).shape == (2, 3, expected)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_blocks_leave_no_seams(
    from_hz: int, to_hz: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waveform = rng.normal(0, 0.1, (2, from_hz + 17)).astype(np.float32)
    whole = resample(waveform, from_hz, to_hz)
    monkeypatch.setattr(resampling, "_BLOCK_SAMPLES", 4999)
    np.testing.assert_allclose(resample(waveform, from_hz, to_hz), whole, atol=1e-5)


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(8000, 16000), (44100, 16000), (9, 10), (16000, 8000), (8000, 48000)]
)
@pytest.mark.parametrize("length", [100, 3000, 16000, 20480, 20481])
def test_the_last_bit_does_not_depend_on_threads(
    from_hz: int, to_hz: int, length: int, rng: np.random.Generator
) -> None:
    waveform, threads = rng.normal(0, 0.1, length).astype(np.float32), torch.get_num_threads()
    results = set()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            results.add(resample(waveform, from_hz, to_hz).tobytes())
    finally:
        torch.set_num_threads(threads)
    assert len(results) == 1


def test_resampled_length_at_rates_without_a_common_divisor() -> None:
    assert resample(np.ones((2, 1001), np.float32), 47999, 16000).shape == (
        2,
        math.ceil(1001 * 16000 / 47999),
    )


def test_same_rate_is_a_copy() -> None:
    waveform = tone()
    resampled = resample(waveform, 16000, 16000)
    np.testing.assert_array_equal(resampled, waveform)
    assert not np.shares_memory(resampled, waveform)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 16000), (16000, 0), (-1, 16000)])
def test_impossible_rates(from_hz: int, to_hz: int) -> None:
    with pytest.raises(InvalidAudioError, match="expected rates above 0"):
        resample(tone(), from_hz, to_hz)


def test_fit_length() -> None:
    waveform = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(fit_length(waveform, 2), [[0, 1], [3, 4]])
    np.testing.assert_array_equal(fit_length(waveform, 4), [[0, 1, 2, 0], [3, 4, 5, 0]])
    np.testing.assert_array_equal(fit_length(waveform, 3), waveform)
    assert fit_length(waveform, 5).dtype == np.float32
    assert fit_length(np.zeros(0, np.float32), 2).tolist() == [0, 0]
