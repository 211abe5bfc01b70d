"""Rooms against physics: decay, delay, attenuation; and against what was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cse.errors import ConfigError
from simulate.decay import measured_rt60_s
from simulate.places import place
from simulate.rirs import SPEED_OF_SOUND_M_PER_S
from simulate.rooms import Late, Room, RoomConfig, sample_room

pytest.importorskip("pyroomacoustics")

USUAL = RoomConfig(rt60_s=(0.2, 0.6))


@pytest.fixture(scope="module")
def rooms() -> list[Room]:
    return [sample_room(USUAL, np.random.default_rng((1, index)), talkers=2) for index in range(12)]


@pytest.mark.parametrize("late", ["images", pytest.param("ray_tracing", marks=pytest.mark.slow)])
def test_measured_rt60_is_the_one_asked_for(late: Late) -> None:
    config = replace(USUAL, late=late)
    off = []
    for index in range(24):
        room = sample_room(config, np.random.default_rng((4, index)), talkers=2)
        for rir in room.rirs(8000).reverberant[:, 0]:
            off.append(abs(measured_rt60_s(rir, 8000) / room.rt60_s - 1))
    assert np.median(off) < (0.05 if late == "images" else 0.03)
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
            assert room.delays_s()[talker, 0] * sample_rate == pytest.approx(delay)
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


def test_talkers_lie_within_the_angles_asked_for() -> None:
    config = replace(
        USUAL,
        rt60_s=(0.2, 0.3),
        angle_deg=(-60.0, 90.0),
        talker_angle_deg=40.0,
        microphones=2,
        distance_m=(1, 2),
    )
    angles = np.array([_angles_deg(config, seed) for seed in range(40)])
    assert np.all((angles > -60) & (angles < 90))
    assert angles.min() < -40 and angles.max() > 70
    assert np.abs(angles[:, 0] - angles[:, 1]).min() >= 40
    # without a range they lie all around
    around = np.array([_angles_deg(replace(USUAL, microphones=2), seed) for seed in range(40)])
    assert np.histogram(around, bins=4, range=(-180, 180))[0].min() > 8


def _angles_deg(config: RoomConfig, seed: int) -> np.ndarray:
    """Angles of two talkers around the first microphone, from the direction of the second one: -180 to 180."""
    size_m = np.array([6.0, 5.0, 3.0])
    placed = place(config, size_m, 2, np.random.default_rng((3, seed)))
    while placed is None:
        seed += 1000
        placed = place(config, size_m, 2, np.random.default_rng((3, seed)))
    talkers, (first, second) = placed
    towards = [np.arctan2(y, x) for x, y, _ in (second - first, *(talkers - first))]
    return (np.degrees(np.array(towards[1:]) - towards[0]) + 180) % 360 - 180


def test_direct_sound_reaches_each_microphone_at_its_own_time() -> None:
    for late in ("images", "ray_tracing"):
        config = replace(USUAL, rt60_s=(0.2, 0.25), microphones=4, array_radius_m=0.3, late=late)
        room = sample_room(config, np.random.default_rng(8))
        delays = room.delays_s() * 16000
        assert np.ptp(delays, axis=1).min() > 5  # samples across the array
        assert np.abs(np.argmax(room.rirs(16000).direct, axis=-1) - delays).max() <= 0.6


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
    narrow = RoomConfig(rt60_s=(0.3, 0.3), angle_deg=(0.0, 30.0), talker_angle_deg=60.0)
    with pytest.raises(
        ConfigError, match="0.5 m and 60 degrees apart; ask for larger rooms or less in between"
    ):
        sample_room(narrow, np.random.default_rng(0))


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
        ({"angle_deg": (10.0, -10.0)}, "rooms.angle_deg: got"),
        (
            {"angle_deg": (-200.0, 200.0)},
            "rooms.angle_deg: got -200.0 to 200.0, expected 360 degrees at most",
        ),
        ({"talker_angle_deg": 190.0}, "rooms.talker_angle_deg: got 190.0, expected 0 to 180"),
        ({"late": "rays"}, "rooms.late: got rays, expected one of images, ray_tracing"),
        ({"scattering": 1.5}, "rooms.scattering: got 1.5, expected 0 to 1"),
        (
            {"late": "ray_tracing", "wall_distance_m": 0.1},
            "rooms.wall_distance_m: got 0.1, expected at least 0.2 m",
        ),
    ],
)
def test_wrong_ranges_say_so(change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        replace(USUAL, **change)  # type: ignore[arg-type]
