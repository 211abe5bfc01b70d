"""Cutting stretches out of long recordings: bit by bit, in little memory, and whatever is wrong with the recording."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.corpora.segments import LongRecording, Stretch, cut_recording, cut_recordings
from cse.engines.pool import Pool
from cse.engines.serial import Serial
from cse.errors import CseError

RATE = 8000


@pytest.fixture
def call(tmp_path: Path) -> np.ndarray:
    """Four seconds of noise on two channels, in call.wav."""
    samples = np.random.default_rng(0).integers(-20000, 20000, (4 * RATE, 2), dtype=np.int16)
    soundfile.write(tmp_path / "call.wav", samples, RATE)
    return samples


def stretch(folder: Path, name: str, start_s: float, end_s: float, channel: int | None = 0) -> Stretch:
    return Stretch(
        id=name, start_s=start_s, end_s=end_s, output=folder / "cut" / f"{name}.flac", channel=channel
    )


def cut(path: Path, *stretches: Stretch):
    return cut_recording(LongRecording(path=path, stretches=stretches))


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0]


@pytest.mark.parametrize("channel", [0, 1])
def test_one_channel_is_copied_bit_by_bit(tmp_path: Path, call: np.ndarray, channel: int):
    result = cut(tmp_path / "call.wav", stretch(tmp_path, "a", 0.5, 3.25, channel))
    file = result.files["a"]
    assert (file.duration_s, file.sample_rate) == (2.75, RATE)
    assert np.array_equal(read(file.path), call[4000:26000, channel])


def test_without_a_channel_it_is_the_mean_of_all(tmp_path: Path, call: np.ndarray):
    file = cut(tmp_path / "call.wav", stretch(tmp_path, "a", 0.0, 1.0, None)).files["a"]
    assert np.abs(read(file.path) - call[:RATE].mean(axis=1)).max() <= 0.5


def test_a_recording_of_one_channel_has_only_that(tmp_path: Path, call: np.ndarray):
    soundfile.write(tmp_path / "mono.wav", call[:, 0], RATE)
    file = cut(tmp_path / "mono.wav", stretch(tmp_path, "a", 1.0, 2.0, 1)).files["a"]
    assert np.array_equal(read(file.path), call[RATE : 2 * RATE, 0])


def test_sphere_files_are_read(tmp_path: Path, call: np.ndarray):
    soundfile.write(tmp_path / "talk.sph", call[:, 0], RATE, format="NIST", subtype="PCM_16")
    file = cut(tmp_path / "talk.sph", stretch(tmp_path, "a", 1.0, 2.0, None)).files["a"]
    assert np.array_equal(read(file.path), call[RATE : 2 * RATE, 0])


@pytest.mark.parametrize(
    "start_s, end_s, kind",
    [
        (1.0, 1.0, "no length"),
        (2.0, 1.0, "no length"),
        (-0.1, 1.0, "no length"),
        (float("nan"), 1.0, "no length"),
        (1.0, 1.00001, "no length"),
        (4.0, 5.0, "beyond the end"),
        (3.0, 4.6, "beyond the end"),
        (0.0, float("inf"), "beyond the end"),
    ],
)
def test_impossible_times_are_left_out_and_the_others_are_cut(
    tmp_path: Path, call: np.ndarray, start_s: float, end_s: float, kind: str
):
    result = cut(
        tmp_path / "call.wav", stretch(tmp_path, "bad", start_s, end_s), stretch(tmp_path, "good", 0.0, 1.0)
    )
    assert list(result.files) == ["good"]
    assert [(entry.id, entry.kind) for entry in result.left_out] == [("bad", kind)]
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["good.flac"]


def test_a_little_after_the_end_is_the_end(tmp_path: Path, call: np.ndarray):
    file = cut(tmp_path / "call.wav", stretch(tmp_path, "a", 3.0, 4.4)).files["a"]
    assert file.duration_s == 1.0
    assert np.array_equal(read(file.path), call[3 * RATE :, 0])


def test_overlapping_stretches_are_both_cut(tmp_path: Path, call: np.ndarray):
    result = cut(tmp_path / "call.wav", stretch(tmp_path, "a", 1.0, 3.0), stretch(tmp_path, "b", 2.0, 4.0))
    assert np.array_equal(read(result.files["a"].path)[RATE:], read(result.files["b"].path)[:RATE])


def test_silence_is_left_out(tmp_path: Path):
    soundfile.write(tmp_path / "call.wav", np.full((RATE, 2), [2, 2000], dtype=np.int16), RATE)
    result = cut(
        tmp_path / "call.wav", stretch(tmp_path, "a", 0.0, 1.0, 0), stretch(tmp_path, "b", 0.0, 1.0, 1)
    )
    assert [entry.kind for entry in result.left_out] == ["silence"]
    assert list(result.files) == ["b"]


def test_a_channel_that_is_not_there_is_left_out(tmp_path: Path, call: np.ndarray):
    result = cut(tmp_path / "call.wav", stretch(tmp_path, "a", 0.0, 1.0, 2))
    assert [(entry.kind, entry.reason) for entry in result.left_out] == [
        ("no such channel", "asks for channel 2 of 2")
    ]


@pytest.mark.parametrize("content, kind", [(None, "no recording"), (b"no audio", "unreadable recording")])
def test_a_recording_that_cannot_be_read_leaves_all_its_stretches_out(
    tmp_path: Path, content: bytes | None, kind: str
):
    if content is not None:
        (tmp_path / "talk.sph").write_bytes(content)
    result = cut(tmp_path / "talk.sph", stretch(tmp_path, "a", 0.0, 1.0), stretch(tmp_path, "b", 1.0, 2.0))
    assert not result.files
    assert [(entry.id, entry.kind) for entry in result.left_out] == [("a", kind), ("b", kind)]
    assert str(tmp_path / "talk.sph") in result.left_out[0].reason


def test_a_damaged_recording_gives_what_is_in_front_of_the_damage(tmp_path: Path, call: np.ndarray):
    soundfile.write(tmp_path / "whole.flac", call, RATE)
    content = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "call.flac").write_bytes(content[: len(content) // 2])
    result = cut(tmp_path / "call.flac", stretch(tmp_path, "a", 0.0, 1.0), stretch(tmp_path, "b", 3.0, 4.0))
    assert list(result.files) == ["a"]
    assert [(entry.id, entry.kind) for entry in result.left_out] == [("b", "damaged")]
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["a.flac"]


def test_files_of_an_earlier_run_are_kept_and_others_are_made_again(tmp_path: Path, call: np.ndarray):
    stretches = [stretch(tmp_path, str(start_s), start_s, start_s + 1.0) for start_s in range(4)]
    cut(tmp_path / "call.wav", *stretches)
    first = {one.id: one.output.read_bytes() for one in stretches}
    written = stretches[0].output.stat().st_mtime_ns
    stretches[1].output.unlink()
    stretches[2].output.write_bytes(first["2"][:20])
    stretches[3].output.write_bytes(first["2"])
    cut(tmp_path / "call.wav", *stretches)
    assert {one.id: one.output.read_bytes() for one in stretches} == first
    assert stretches[0].output.stat().st_mtime_ns == written


def test_another_channel_or_time_replaces_the_file(tmp_path: Path, call: np.ndarray):
    for start_s, channel in ((0.0, 0), (0.0, 1), (0.5, 1)):
        file = cut(tmp_path / "call.wav", stretch(tmp_path, "a", start_s, start_s + 1.0, channel)).files["a"]
        start = round(start_s * RATE)
        assert np.array_equal(read(file.path), call[start : start + RATE, channel])


def test_a_pool_writes_the_same_bytes(tmp_path: Path, call: np.ndarray):
    soundfile.write(tmp_path / "other.wav", call[::-1], RATE)
    contents = []
    for engine, folder in ((Serial(), tmp_path / "serial"), (Pool(2), tmp_path / "pool")):
        recordings = [
            LongRecording(
                path=tmp_path / f"{name}.wav",
                stretches=tuple(stretch(folder / name, str(place), place, place + 0.5) for place in range(4)),
            )
            for name in ("call", "other", "missing")
        ]
        results = list(cut_recordings(recordings, engine=engine))
        assert [len(result.files) for result in results] == [4, 4, 0]
        contents.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.flac")})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 8


def test_memory_is_that_of_a_block_however_long_the_recording(tmp_path: Path):
    with soundfile.SoundFile(tmp_path / "long.wav", "w", RATE, 2, subtype="PCM_16") as file:
        minute = np.random.default_rng(0).integers(-999, 999, (60 * RATE, 2), dtype=np.int16)
        for _ in range(20):
            file.write(minute)
    tracemalloc.start()
    try:
        result = cut(
            tmp_path / "long.wav", stretch(tmp_path, "a", 1.0, 1100.0), stretch(tmp_path, "b", 1190.0, 1199.0)
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(result.files) == 2
    assert peak < 2e6  # the recording has 38 MB


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path, call: np.ndarray):
    (tmp_path / "cut").write_text("a file where the folder should be")
    with pytest.raises((CseError, OSError)):
        cut(tmp_path / "call.wav", stretch(tmp_path, "a", 0.0, 1.0))
