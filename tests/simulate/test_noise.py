"""Ambient noise: which stretch, how long, and what cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cse.audio import write_audio
from cse.errors import ConfigError, InvalidAudioError
from simulate.noise import NoiseConfig, cut, find_noise, sample_noise


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    (tmp_path / "rain").mkdir()
    for name in ("b.wav", "a.flac", "rain/c.wav"):
        write_audio(tmp_path / name, 0.1 * rng.standard_normal(4000).astype(np.float32).clip(-5, 5), 8000)
    (tmp_path / "ATTRIBUTION.txt").write_text("by nobody")
    return tmp_path


def test_finds_audio_in_subfolders_in_the_order_of_names(folder: Path) -> None:
    assert [path.relative_to(folder).as_posix() for path in find_noise(folder)] == [
        "a.flac",
        "b.wav",
        "rain/c.wav",
    ]


def test_a_stretch_is_a_cut_of_the_looped_recording(folder: Path) -> None:
    from cse.audio import load_waveform

    stretch, path = sample_noise(find_noise(folder), 10_000, 8000, np.random.default_rng(0))
    recording = load_waveform(path, 8000)
    assert stretch.shape == (10_000,)
    offset = next(
        o for o in range(4000) if recording[o] == stretch[0] and recording[(o + 1) % 4000] == stretch[1]
    )
    np.testing.assert_array_equal(stretch, cut(recording, 10_000, offset))


def test_same_seed_same_stretch_and_other_seeds_differ(folder: Path) -> None:
    files = find_noise(folder)
    draws = [
        sample_noise(files, 500, 8000, np.random.default_rng(seed))[0].tobytes() for seed in (0, 0, 1, 2, 3)
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 4


def test_a_silent_part_is_drawn_again(tmp_path: Path, rng: np.random.Generator) -> None:
    clip = np.zeros(40_000, dtype=np.float32)
    clip[:4000] = 0.1 * rng.uniform(-1, 1, 4000)
    write_audio(tmp_path / "dog.wav", clip, 8000)
    for seed in range(10):
        stretch, _ = sample_noise([tmp_path / "dog.wav"], 8000, 8000, np.random.default_rng((3, seed)))
        assert np.any(stretch)


def test_silence_alone_is_an_error(tmp_path: Path) -> None:
    write_audio(tmp_path / "nothing.wav", np.zeros(8000, dtype=np.float32), 8000)
    with pytest.raises(InvalidAudioError, match=r"silent.*nothing\.wav"):
        sample_noise([tmp_path / "nothing.wav"], 100, 8000, np.random.default_rng(0))


def test_wrong_options_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither of noise\.folder and noise\.files"):
        NoiseConfig()
    with pytest.raises(ConfigError, match=r"both of noise\.folder and noise\.files"):
        NoiseConfig(folder=tmp_path, files=(tmp_path / "a.wav",))
    with pytest.raises(ConfigError, match=r"noise\.snr_db"):
        NoiseConfig(folder=tmp_path, snr_db=(10.0, 0.0))
    with pytest.raises(ConfigError, match="no audio file in"):
        NoiseConfig(folder=tmp_path).recordings()
    with pytest.raises(ConfigError, match="is no folder"):
        NoiseConfig(folder=tmp_path / "gone").recordings()
    with pytest.raises(ConfigError, match=r"no file .*gone\.wav \(1 of 1"):
        NoiseConfig(files=(tmp_path / "gone.wav",)).recordings()
