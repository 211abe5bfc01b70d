"""Where talkers and microphones stand in a room: distances, heights and angles within their ranges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simulate.rooms import RoomConfig

_TRIES = 200


def place(
    config: RoomConfig, size_m: np.ndarray, talkers: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Positions of talkers (S, 3) and microphones (M, 3) in a room; None where no try keeps the distances."""
    wall_m = config.wall_distance_m
    first = np.array([*rng.uniform(wall_m, size_m[:2] - wall_m), rng.uniform(*config.microphone_height_m)])
    facing = rng.uniform(0, 2 * np.pi)
    low, high = np.radians(config.angle_deg)
    around = high - low >= 2 * np.pi  # then it is all the same where the device faces
    placed: list[np.ndarray] = []
    for _ in range(_TRIES):
        height_m = rng.uniform(*config.talker_height_m) - first[2]
        distance_m, angle = rng.uniform(*config.distance_m), rng.uniform(low, high)
        if distance_m <= abs(height_m):
            continue
        across_m = math.sqrt(distance_m**2 - height_m**2)
        talker = first + _towards(angle if around else facing + angle, across_m, height_m)
        inside = np.all(talker >= wall_m) and np.all(talker <= size_m - wall_m)
        if inside and all(_apart(config, talker - first, other - first) for other in placed):
            placed.append(talker)
        if len(placed) == talkers:
            return np.stack(placed), first + _array(config, facing)
    return None


def _array(config: RoomConfig, facing: float) -> np.ndarray:
    """Where the microphones are from the first on, (M, 3); the second lies where the device faces."""
    others = config.microphones - 1
    angles = facing + 2 * np.pi * np.arange(others) / max(1, others)
    return np.stack([np.zeros(3), *(_towards(angle, config.array_radius_m, 0.0) for angle in angles)])


def _towards(angle: float, across_m: float, height_m: float) -> np.ndarray:
    return np.array([across_m * math.cos(angle), across_m * math.sin(angle), height_m])


def _apart(config: RoomConfig, one_m: np.ndarray, other_m: np.ndarray) -> bool:
    """Whether two talkers, from the first microphone on, are far enough from each other."""
    between = math.atan2(one_m[1], one_m[0]) - math.atan2(other_m[1], other_m[0])
    angle_deg = abs(math.degrees(math.remainder(between, 2 * math.pi)))
    distance_m = float(np.linalg.norm(one_m - other_m))
    return distance_m >= config.talker_distance_m and angle_deg >= config.talker_angle_deg
