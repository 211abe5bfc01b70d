"""Rooms against physics: decay, delay, attenuation, and pyroomacoustics' own image method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cse.errors import ConfigError
from simulate.rooms import SPEED_OF_SOUND_M_PER_S, Room, RoomConfig, _high_pass, measured_rt60_s, sample_room

pytest.importorskip("pyroomacoustics")

USUAL = RoomConfig(rt60_s=(0.2, 0.6))


@pytest.fixture(scope="module")
def rooms() -> list[Room]:
    return [sample_room(USUAL, np.random.default_rng((1, index)), talkers=2) for index in range(12)]


@pytest.mark.parametrize("decay_db", [30.0, 60.0])
def test_measured_rt60_is_the_one_asked_for(rooms: list[Room], decay_db: float) -> None:
    off = []
    for room in rooms:
        for rir in room.rirs(8000).reverberant[:, 0]:
            off.append(abs(measured_rt60_s(rir, 8000, decay_db=decay_db) / room.rt60_s - 1))
    assert np.median(off) < 0.10
    assert max(off) < 0.20


def test_asked_rt60_covers_its_range(rooms: list[Room]) -> None:
    asked = [room.rt60_s for room in rooms]
    assert 0.2 <= min(asked) < 0.3
    assert 0.5 < max(asked) <= 0.6


@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_direct_path_has_the_delay_and_the_level_of_the_geometry(rooms: list[Room], sample_rate: int) -> None:
    for room in rooms[:4]:
        rirs = room.rirs(sample_rate)
        for talker, distance_m in enumerate(room.distances_m()[:, 0]):
            delay = distance_m / SPEED_OF_SOUND_M_PER_S * sample_rate
            assert abs(np.argmax(rirs.direct[talker, 0]) - delay) <= 0.6
            # energy of a band-limited impulse; what lies below 50 Hz is cut off
            assert np.sum(rirs.direct[talker, 0] ** 2) == pytest.approx(distance_m**-2, rel=0.08)


def test_parts_contain_one_another(rooms: list[Room]) -> None:
    for room in rooms[:4]:
        rirs = room.rirs(8000)
        for talker, distance_m in enumerate(room.distances_m()[:, 0]):
            delay = distance_m / SPEED_OF_SOUND_M_PER_S * 8000
            direct, early, full = (part[talker, 0] for part in (rirs.direct, rirs.early, rirs.reverberant))
            # sincs reach 40 samples beyond their impulse
            last_equal = int(delay + 0.050 * 8000) - 41
            np.testing.assert_allclose(early[:last_equal], full[:last_equal], atol=1e-4 * np.abs(full).max())
            # 30 ms later the high-pass has died away too, while the room still rings
            late = int(delay + 0.080 * 8000) + 41
            assert np.sum(early[late:] ** 2) < 1e-4 * np.sum(early**2)
            assert np.sum(early[late:] ** 2) < 0.05 * np.sum(full[late:] ** 2)
            assert np.sum(direct**2) < np.sum(early**2) < np.sum(full**2)


def test_agrees_with_pyroomacoustics() -> None:
    import pyroomacoustics

    room = Room(
        (4.2, 3.1, 2.6), ((1.0, 1.2, 1.5),), ((2.9, 1.7, 1.1), (3.0, 2.2, 1.1)), rt60_s=0.08, absorption=0.4
    )
    theirs = pyroomacoustics.ShoeBox(
        room.size_m, fs=8000, materials=pyroomacoustics.Material(0.4), max_order=20
    )
    theirs.add_source(list(room.talkers_m[0]))
    theirs.add_microphone(np.array(room.microphones_m).T)
    filtered = pyroomacoustics.constants.get("rir_hpf_enable")
    pyroomacoustics.constants.set("rir_hpf_enable", False)
    try:
        theirs.compute_rir()
    finally:
        pyroomacoustics.constants.set("rir_hpf_enable", filtered)
    ours = room.rirs(8000).reverberant
    before = pyroomacoustics.constants.get("frac_delay_length") // 2
    until = int(0.08 * 8000) - before  # later, images beyond our reach but within theirs add up
    for microphone in range(2):
        expected = _high_pass(theirs.rir[microphone][0][before : before + until], 8000)
        np.testing.assert_allclose(ours[0, microphone, :until], expected, atol=2e-4 * np.abs(expected).max())


def test_same_seed_same_room_and_same_bytes() -> None:
    first, second = (sample_room(USUAL, np.random.default_rng(5), talkers=3) for _ in range(2))
    assert first == second
    assert first.rirs(8000).reverberant.tobytes() == second.rirs(8000).reverberant.tobytes()
    assert sample_room(USUAL, np.random.default_rng(6), talkers=3) != first


def test_positions_keep_their_distances() -> None:
    config = replace(USUAL, rt60_s=(0.2, 0.3), microphones=4)
    for seed in range(20):
        room = sample_room(config, np.random.default_rng((2, seed)), talkers=3)
        talkers, microphones, size = map(np.array, (room.talkers_m, room.microphones_m, room.size_m))
        for point in (*talkers, microphones[0]):
            assert np.all(point >= 0.5 - 1e-9) and np.all(point <= size - 0.5 + 1e-9)
        np.testing.assert_allclose(np.linalg.norm(microphones[1:] - microphones[0], axis=-1), 0.05)
        assert np.all((room.distances_m()[:, 0] >= 0.5) & (room.distances_m()[:, 0] <= 2.5))
        apart = np.linalg.norm(talkers[:, None] - talkers[None], axis=-1)[np.triu_indices(3, k=1)]
        assert apart.min() >= 0.5
    assert room.rirs(8000).reverberant.shape[:2] == (3, 4)


def test_room_that_cannot_have_the_rt60_is_drawn_again() -> None:
    # small rooms of the range can decay in 0.16 s, the largest cannot
    config = RoomConfig(rt60_s=(0.16, 0.16), length_m=(3.0, 15.0), width_m=(3.0, 15.0), height_m=(2.4, 6.0))
    room = sample_room(config, np.random.default_rng(3))
    assert room.rt60_s == 0.16
    assert measured_rt60_s(room.rirs(8000).reverberant[0, 0], 8000) == pytest.approx(0.16, rel=0.2)


def test_impossible_rooms_say_so() -> None:
    huge = RoomConfig(rt60_s=(0.05, 0.05), length_m=(20.0, 21.0), width_m=(20.0, 21.0), height_m=(6.0, 6.0))
    with pytest.raises(ConfigError, match=r"RT60 of 0\.050 s; ask for a longer one"):
        sample_room(huge, np.random.default_rng(0))
    crowded = RoomConfig(rt60_s=(0.3, 0.3), distance_m=(0.5, 0.6), talker_distance_m=3.0)
    with pytest.raises(ConfigError, match="2 talkers do not fit"):
        sample_room(crowded, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rt60_s": (0.6, 0.2)}, "rooms.rt60_s: got"),
        ({"rt60_s": (0.0, 0.2)}, "both above 0"),
        ({"rt60_s": (0.2, float("nan"))}, "rooms.rt60_s: got"),
        ({"rt60_s": (0.2, 5.0)}, "expected at most 1.5 s"),
        ({"microphones": 0}, "rooms.microphones: got 0"),
        ({"talker_height_m": (0.1, 1.0)}, "rooms.talker_height_m: got 0.1"),
        ({"length_m": (0.9, 1.5)}, "more than twice"),
        ({"distance_m": (0.01, 1.0)}, "at least 0.1 m"),
        ({"microphones": 2, "array_radius_m": 0.5}, "less than rooms.wall_distance_m"),
    ],
)
def test_wrong_ranges_say_so(change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        replace(USUAL, **change)  # type: ignore[arg-type]
