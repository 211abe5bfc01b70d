"""What is written is what was given, at a rate that the format has, or one line says why not and nothing is left."""

from __future__ import annotations

import resource
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from cse import audio
from cse.audio import read_audio, write_audio
from cse.errors import CseError, InvalidAudioError
from tests.cse.test_audio import similarity_db, tone


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
@pytest.mark.parametrize(
    "convert", [np.asarray, torch.from_numpy, np.float64], ids=["array", "tensor", "float64"]
)
def test_lossless_files_come_back_within_half_a_step(
    tmp_path: Path, suffix: str, convert: Callable[[Any], Any]
) -> None:
    waveform = tone(0.7, 11025)
    write_audio(tmp_path / f"a{suffix}", convert(waveform), 11025)
    info = soundfile.info(tmp_path / f"a{suffix}")
    assert (info.samplerate, info.frames, info.channels, info.subtype) == (11025, len(waveform), 1, "PCM_16")
    np.testing.assert_allclose(read_audio(tmp_path / f"a{suffix}").waveform, waveform, atol=1 / 32768)


@pytest.mark.parametrize("suffix", [".ogg", ".oga", ".opus"])
@pytest.mark.parametrize(
    ("sample_rate", "written"),
    [
        (8000, 8000),
        (16000, 16000),
        (48000, 48000),
        (11025, 12000),
        (22050, 24000),
        (44100, 48000),
        (96000, 48000),
    ],
)
def test_opus_keeps_the_duration_at_a_rate_that_opus_has(
    tmp_path: Path, suffix: str, sample_rate: int, written: int
) -> None:
    write_audio(tmp_path / f"a{suffix}", tone(1.0, sample_rate), sample_rate)
    info = soundfile.info(tmp_path / f"a{suffix}")
    assert (info.samplerate, info.frames, info.format, info.subtype) == (written, written, "OGG", "OPUS")
    recording = read_audio(tmp_path / f"a{suffix}")
    inside = slice(written // 4, -written // 4)
    assert similarity_db(recording.waveform[inside], tone(1.0, written)[inside]) > 10


def test_long_opus_is_written_in_blocks(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.ogg", tone(20.0, 48000), 48000)
    assert soundfile.info(tmp_path / "a.ogg").frames == 20 * 48000


def test_several_channels(tmp_path: Path) -> None:
    samples = np.stack([tone(), tone(hz=300)])
    write_audio(tmp_path / "a.wav", samples, 16000)
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0].T, samples, atol=1 / 32768)


def test_full_scale_is_written_without_a_warning_and_without_turning_over(tmp_path: Path) -> None:
    samples = np.array([1.0, -1.0] * 4000, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_audio(tmp_path / "a.wav", samples, 16000)
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], samples, atol=1 / 32767)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_samples_beyond_full_scale_are_clipped_with_a_warning(tmp_path: Path, suffix: str) -> None:
    with pytest.warns(UserWarning, match="samples reach 2 and are clipped"):
        write_audio(tmp_path / f"a{suffix}", tone(hz=100, peak=2.0), 16000)
    if suffix != ".ogg":
        np.testing.assert_allclose(
            soundfile.read(tmp_path / f"a{suffix}")[0], np.clip(tone(hz=100, peak=2.0), -1, 1), atol=1 / 32767
        )


@pytest.mark.parametrize(
    ("name", "samples", "message"),
    [
        ("a.mp4", tone(), r"cannot write the format \.mp4, expected \.wav, \.flac, \.ogg"),
        ("a", tone(), "a file without a suffix, expected"),
        ("a.wav", np.zeros(0, np.float32), r"shape \(0,\)"),
        ("a.wav", np.zeros((0, 5), np.float32), r"shape \(0, 5\)"),
        ("a.wav", np.zeros((1, 1, 5), np.float32), r"shape \(1, 1, 5\)"),
        ("a.wav", np.zeros(5, np.int16), "cannot write int16"),
        ("a.wav", np.array([0.0, np.nan]), "NaN or infinite"),
        ("a.wav", np.array([0.0, np.inf]), "NaN or infinite"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, samples: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidAudioError, match=message):
        write_audio(tmp_path / name, samples, 16000)
    assert list(tmp_path.iterdir()) == []


def test_too_many_channels_for_the_format_leave_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(b"old")
    with pytest.raises(CseError, match=r"cannot write 20 channels at 16000 Hz as \.flac"):
        write_audio(tmp_path / "a.flac", np.tile(tone(), (20, 1)), 16000)
    assert (tmp_path / "a.flac").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_failure_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(soundfile.SoundFile, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_audio(tmp_path / "a.wav", tone(), 16000)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """Lets no file grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda room: resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 8192, 20_000])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, capfd: Any, rng: np.random.Generator, full_disk: Any, suffix: str, room: int
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    noise = (0.1 * rng.standard_normal(8 * 16000)).astype(np.float32)
    full_disk(room)
    with pytest.raises(CseError, match=rf"a\{suffix}: cannot write: File too large$"):
        write_audio(path, noise, 16000)
    assert capfd.readouterr() == ("", ""), "what a callback of libsndfile raises would be printed"
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CseError, match="does not exist; create it"):
        write_audio(tmp_path / "absent" / "a.wav", tone(), 16000)


def test_public_names() -> None:
    assert all(hasattr(audio, name) for name in audio.__all__)
