"""Shoebox rooms: who stands where, how long it rings, and the impulse responses from talkers to microphones.

The sound is that of mirror images (`simulate.image_source`), or of some of them and of traced rays
(`simulate.ray_tracing`); the walls absorb as much as the reverberation time takes (`simulate.decay`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from cse.errors import ConfigError
from simulate.decay import absorption_for
from simulate.image_source import image_paths
from simulate.places import place
from simulate.ray_tracing import Rays, traced_paths
from simulate.rirs import SPEED_OF_SOUND_M_PER_S, Paths, Rirs, draw_rirs

MAX_RT60_S = 1.5
_POSITIVE_RANGES = (
    "rt60_s",
    "length_m",
    "width_m",
    "height_m",
    "distance_m",
    "talker_height_m",
    "microphone_height_m",
)
_LEAST_SPHERE_M = 0.2
_TRIES = 200

Range = tuple[float, float]
Late = Literal["images", "ray_tracing"]


@dataclass(frozen=True, kw_only=True)
class RoomConfig:
    """Ranges that rooms are drawn from, uniformly. Lengths in metres, angles free.

    Attributes:
        rt60_s: Reverberation time, [lowest, highest]; the other ranges alike.
        length_m: Length of the room.
        width_m: Width of the room.
        height_m: Height of the room.
        distance_m: From a talker to the first microphone.
        talker_height_m: Of the mouths above the floor.
        microphone_height_m: Of the first microphone above the floor.
        wall_distance_m: Least distance of a talker or the first microphone to walls, floor and ceiling.
        talker_distance_m: Least distance between two talkers.
        angle_deg: Directions of the talkers around the first microphone, seen from above, from where the device
            faces: towards the second microphone, anywhere with a single one. [-60, 60] is in front of it.
        talker_angle_deg: Least angle between two talkers, seen from the first microphone and from above.
        microphones: How many; the first is the reference.
        array_radius_m: The other microphones lie on a horizontal circle of this radius around the first.
        late: All sound from mirror images; or the late part from rays, which walls scatter (slower, more diffuse).
        scattering: Part of the energy that walls scatter instead of mirroring it, 0..1; of rays only.

    Raises:
        ConfigError: A range is empty or reversed, or the room cannot hold what is put into it.
    """

    rt60_s: Range
    length_m: Range = (3.0, 8.0)
    width_m: Range = (3.0, 6.0)
    height_m: Range = (2.4, 3.5)
    distance_m: Range = (0.5, 2.5)
    talker_height_m: Range = (1.1, 1.8)
    microphone_height_m: Range = (0.7, 1.6)
    wall_distance_m: float = 0.5
    talker_distance_m: float = 0.5
    angle_deg: Range = (0.0, 360.0)
    talker_angle_deg: float = 0.0
    microphones: int = 1
    array_radius_m: float = 0.05
    late: Late = "images"
    scattering: float = 0.3

    def __post_init__(self) -> None:
        for name in _POSITIVE_RANGES:
            check_range(f"rooms.{name}", getattr(self, name), least=0.0)
        if self.rt60_s[1] > MAX_RT60_S:
            raise ConfigError(f"rooms.rt60_s: got {self.rt60_s[1]}, expected at most {MAX_RT60_S} s")
        if self.distance_m[0] < 0.1:
            raise ConfigError(f"rooms.distance_m: got {self.distance_m[0]}, expected at least 0.1 m")
        # the image method breaks down where a talker touches a wall or a microphone
        for name in ("wall_distance_m", "talker_distance_m", "array_radius_m"):
            if not 0.01 <= getattr(self, name) < math.inf:
                raise ConfigError(f"rooms.{name}: got {getattr(self, name)}, expected at least 0.01 m")
        self._check_angles()
        self._check_microphones()
        self._check_walls()
        self._check_rays()

    def _check_angles(self) -> None:
        check_range("rooms.angle_deg", self.angle_deg)
        low, high = self.angle_deg
        if high - low > 360:
            raise ConfigError(
                f"rooms.angle_deg: got {low} to {high}, expected 360 degrees at most between them"
            )
        if not 0 <= self.talker_angle_deg <= 180:
            raise ConfigError(f"rooms.talker_angle_deg: got {self.talker_angle_deg}, expected 0 to 180")

    def _check_microphones(self) -> None:
        if self.microphones < 1:
            raise ConfigError(f"rooms.microphones: got {self.microphones}, expected 1 or more")
        if self.microphones > 1 and self.array_radius_m >= self.wall_distance_m:
            raise ConfigError(
                f"rooms.array_radius_m: got {self.array_radius_m}, expected less than rooms.wall_distance_m"
                f" ({self.wall_distance_m})"
            )

    def _check_walls(self) -> None:
        for name in ("talker_height_m", "microphone_height_m"):
            low, high = getattr(self, name)
            if low < self.wall_distance_m or high > self.height_m[0] - self.wall_distance_m:
                raise ConfigError(
                    f"rooms.{name}: got {low} to {high}, expected {self.wall_distance_m} to"
                    f" {self.height_m[0] - self.wall_distance_m:g} (rooms.wall_distance_m off floor and"
                    " lowest ceiling)"
                )
        if min(self.length_m[0], self.width_m[0]) <= 2 * self.wall_distance_m:
            raise ConfigError(
                f"rooms.length_m and rooms.width_m: got {self.length_m[0]} and {self.width_m[0]} as smallest,"
                f" expected more than twice rooms.wall_distance_m ({self.wall_distance_m})"
            )

    def _check_rays(self) -> None:
        if self.late not in get_args(Late):
            raise ConfigError(f"rooms.late: got {self.late}, expected one of {', '.join(get_args(Late))}")
        if not 0 <= self.scattering <= 1:
            raise ConfigError(f"rooms.scattering: got {self.scattering}, expected 0 to 1")
        if self.late == "ray_tracing" and self.wall_distance_m < _LEAST_SPHERE_M:
            raise ConfigError(
                f"rooms.wall_distance_m: got {self.wall_distance_m}, expected at least {_LEAST_SPHERE_M} m"
                " for rooms.late=ray_tracing, which counts rays in a sphere around the microphone"
            )


@dataclass(frozen=True)
class Room:
    """A room with its talkers and microphones in place.

    Attributes:
        size_m: Length, width and height.
        talkers_m: Positions (x, y, z) of the talkers, the target first.
        microphones_m: Positions of the microphones, the reference first.
        rt60_s: Reverberation time that was asked for, and that the absorption was chosen for.
        absorption: Part of the energy that every wall swallows, 0..1.
        rays: How the late part is traced; None where all of it is mirror images.
    """

    size_m: tuple[float, float, float]
    talkers_m: tuple[tuple[float, float, float], ...]
    microphones_m: tuple[tuple[float, float, float], ...]
    rt60_s: float
    absorption: float
    rays: Rays | None = None

    def distances_m(self) -> np.ndarray:
        """Lengths of the direct paths: (S, M)."""
        talkers, microphones = np.asarray(self.talkers_m), np.asarray(self.microphones_m)
        return np.linalg.norm(talkers[:, None] - microphones[None], axis=-1)

    def delays_s(self) -> np.ndarray:
        """When the direct sound arrives after it was made: (S, M)."""
        return self.distances_m() / SPEED_OF_SOUND_M_PER_S

    def rirs(self, sample_rate: int) -> Rirs:
        """Compute the impulse responses from every talker to every microphone.

        Raises:
            MissingExtraError: pyroomacoustics is not installed.
        """
        reach_m = _reach_m(self.rt60_s, self.distances_m())
        paths = _paths(self.size_m, self.talkers_m, self.microphones_m, reach_m, self.rays)
        return draw_rirs(paths, absorption=self.absorption, reach_m=reach_m, sample_rate=sample_rate)


def sample_room(config: RoomConfig, rng: np.random.Generator, *, talkers: int = 2) -> Room:
    """Draw a room that really has the reverberation time drawn for it.

    The reverberation time is drawn once. A room that cannot have it (too large for a short one, too small for
    a long one) or cannot hold the talkers is drawn again, so reverberation times stay distributed as asked.

    Raises:
        ConfigError: No room within the ranges fits, after many tries.

    Example:
        >>> room = sample_room(RoomConfig(rt60_s=(0.3, 0.3)), np.random.default_rng(0))
        >>> room.rt60_s, len(room.talkers_m), 0 < room.absorption < 1
        (0.3, 2, True)
    """
    rt60_s = float(rng.uniform(*config.rt60_s))
    crowded = 0
    for _ in range(_TRIES):
        size_m = np.array(
            [rng.uniform(*sides) for sides in (config.length_m, config.width_m, config.height_m)]
        )
        places = place(config, size_m, talkers, rng)
        if places is None:
            crowded += 1
            continue
        talkers_m, microphones_m = places
        rays = None
        if config.late == "ray_tracing":
            rays = Rays(config.scattering, seed=int(rng.integers(2**32)))
        reach_m = _reach_m(rt60_s, np.linalg.norm(talkers_m - microphones_m[0], axis=-1))
        paths = _paths(size_m, talkers_m, microphones_m[:1], reach_m, rays)
        absorption = absorption_for(rt60_s, [at_reference for (at_reference,) in paths], reach_m)
        if absorption is not None:
            return Room(_point(size_m), _points(talkers_m), _points(microphones_m), rt60_s, absorption, rays)
    if crowded > _TRIES // 2:
        raise ConfigError(
            f"rooms: {talkers} talkers do not fit into rooms of {config.length_m} x {config.width_m} m at"
            f" {config.distance_m} m from the microphone and {config.talker_distance_m} m and"
            f" {config.talker_angle_deg:g} degrees apart; ask for larger rooms or less in between"
        )
    raise ConfigError(
        f"rooms.rt60_s: none of {_TRIES} rooms of {config.length_m} x {config.width_m} x {config.height_m} m"
        f" can have an RT60 of {rt60_s:.3f} s; ask for a longer one or smaller rooms"
        " (a shorter one or larger rooms, if it is long)"
    )


def check_range(name: str, limits: Sequence[float], *, least: float | None = None) -> None:
    """Check a (lowest, highest) pair of finite numbers, above `least` where given; raises `ConfigError`."""
    numbers = len(limits) == 2 and all(math.isfinite(limit) for limit in limits)
    if not numbers or limits[0] > limits[1] or (least is not None and limits[0] <= least):
        above = "" if least is None else f", both above {least:g}"
        raise ConfigError(f"{name}: got {list(limits)}, expected [lowest, highest]{above}")


def _paths(
    size_m: Sequence[float] | np.ndarray,
    talkers_m: Sequence[Sequence[float]] | np.ndarray,
    microphones_m: Sequence[Sequence[float]] | np.ndarray,
    reach_m: float,
    rays: Rays | None,
) -> list[list[Paths]]:
    """The paths of sound from every talker to every microphone."""
    if rays is None:
        return [
            [image_paths(size_m, talker, microphone, reach_m) for microphone in microphones_m]
            for talker in talkers_m
        ]
    return [
        traced_paths(size_m, talker, microphones_m, reach_m, replace(rays, seed=rays.seed + s))
        for s, talker in enumerate(talkers_m)
    ]


def _reach_m(rt60_s: float, distances_m: np.ndarray) -> float:
    """Length of the longest path that is drawn."""
    return rt60_s * SPEED_OF_SOUND_M_PER_S + float(np.max(distances_m))


def _point(xyz: np.ndarray) -> tuple[float, float, float]:
    return float(xyz[0]), float(xyz[1]), float(xyz[2])


def _points(positions: np.ndarray) -> tuple[tuple[float, float, float], ...]:
    return tuple(_point(xyz) for xyz in positions)
