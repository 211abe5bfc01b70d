"""Shoebox rooms: who stands where, how long it rings, and the impulse responses from talkers to microphones.

The image source method (Allen and Berkley 1979) with frequency-flat walls that all absorb alike. The lattice
of images is our own, restricted to the sphere that sound reaches within the reverberation time:
`pyroomacoustics.ShoeBox` builds a larger diamond of them and needs five times as long (0.7 s of CPU against
0.13 s for one talker at an RT60 of 0.6 s and 8 kHz). The impulse responses are then drawn by pyroomacoustics'
own builder; the tests compare the two.

The absorption is found by bisection on the decay of the images themselves. Sabine's formula assumes a diffuse
field, which an empty shoebox is not: with it, rooms of the default sizes ring a third longer than asked for
(median, without the high-pass; a fifth with pyroomacoustics' own).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cse.errors import ConfigError, MissingExtraError

SPEED_OF_SOUND_M_PER_S = 343.0
EARLY_S = 0.050
# Images all have the same sign and add up coherently below the lowest room modes, far above what a room does;
# phones and laptops cut these frequencies too.
HIGH_PASS_HZ = 50.0
MAX_RT60_S = 1.5

Range = tuple[float, float]


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
        microphones: How many; the first is the reference.
        array_radius_m: The other microphones lie on a horizontal circle of this radius around the first.

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
    microphones: int = 1
    array_radius_m: float = 0.05

    def __post_init__(self) -> None:
        for name in (
            "rt60_s",
            "length_m",
            "width_m",
            "height_m",
            "distance_m",
            "talker_height_m",
            "microphone_height_m",
        ):
            check_range(f"rooms.{name}", getattr(self, name), least=0.0)
        if self.rt60_s[1] > MAX_RT60_S:
            raise ConfigError(f"rooms.rt60_s: got {self.rt60_s[1]}, expected at most {MAX_RT60_S} s")
        if self.microphones < 1:
            raise ConfigError(f"rooms.microphones: got {self.microphones}, expected 1 or more")
        # the image method breaks down where a talker touches a wall or a microphone
        for name in ("wall_distance_m", "talker_distance_m", "array_radius_m"):
            if not 0.01 <= getattr(self, name) < math.inf:
                raise ConfigError(f"rooms.{name}: got {getattr(self, name)}, expected at least 0.01 m")
        if self.microphones > 1 and self.array_radius_m >= self.wall_distance_m:
            raise ConfigError(
                f"rooms.array_radius_m: got {self.array_radius_m}, expected less than rooms.wall_distance_m"
                f" ({self.wall_distance_m})"
            )
        if self.distance_m[0] < 0.1:
            raise ConfigError(f"rooms.distance_m: got {self.distance_m[0]}, expected at least 0.1 m")
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


@dataclass(frozen=True)
class Rirs:
    """Room impulse responses of one room: each (S, M, T) float32, S talkers, M microphones, T samples.

    Sample 0 is when the sound leaves the mouth, so the direct path of d metres peaks at d / 343 m/s, and
    parts that are convolved with the same signal are aligned with one another. A direct path of 1 m has
    amplitude 1.

    Attributes:
        direct: The direct path alone: its delay and its attenuation.
        early: All that arrives up to 50 ms after the direct path.
        reverberant: Everything up to the reverberation time.
    """

    direct: np.ndarray
    early: np.ndarray
    reverberant: np.ndarray
    sample_rate: int


@dataclass(frozen=True)
class Room:
    """A room with its talkers and microphones in place.

    Attributes:
        size_m: Length, width and height.
        talkers_m: Positions (x, y, z) of the talkers, the target first.
        microphones_m: Positions of the microphones, the reference first.
        rt60_s: Reverberation time that was asked for, and that the absorption was chosen for.
        absorption: Part of the energy that every wall swallows, 0..1.
    """

    size_m: tuple[float, float, float]
    talkers_m: tuple[tuple[float, float, float], ...]
    microphones_m: tuple[tuple[float, float, float], ...]
    rt60_s: float
    absorption: float

    def distances_m(self) -> np.ndarray:
        """Lengths of the direct paths: (S, M)."""
        talkers, microphones = np.asarray(self.talkers_m), np.asarray(self.microphones_m)
        return np.linalg.norm(talkers[:, None] - microphones[None], axis=-1)

    def rirs(self, sample_rate: int) -> Rirs:
        """Compute the impulse responses from every talker to every microphone.

        Raises:
            MissingExtraError: pyroomacoustics is not installed.
        """
        reach_m = _reach_m(self.rt60_s, self.distances_m())
        samples = math.ceil(reach_m / SPEED_OF_SOUND_M_PER_S * sample_rate) + 1
        parts = np.zeros((3, len(self.talkers_m), len(self.microphones_m), samples), dtype=np.float32)
        for s, talker in enumerate(self.talkers_m):
            for m, microphone in enumerate(self.microphones_m):
                distances_m, reflections = _images(self.size_m, talker, microphone, reach_m)
                gains = (1 - self.absorption) ** (reflections / 2) / distances_m
                direct_m = distances_m.min()
                for part, last_m in enumerate(
                    (direct_m, direct_m + EARLY_S * SPEED_OF_SOUND_M_PER_S, reach_m)
                ):
                    heard = distances_m <= last_m
                    parts[part, s, m] = _draw(distances_m[heard], gains[heard], sample_rate, samples)
        direct, early, reverberant = _high_pass(parts, sample_rate)
        return Rirs(direct, early, reverberant, sample_rate)


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
        places = _place(config, size_m, talkers, rng)
        if places is None:
            crowded += 1
            continue
        talkers_m, microphones_m = places
        absorption = _absorption(rt60_s, size_m, talkers_m, microphones_m[0])
        if absorption is not None:
            return Room(_point(size_m), _points(talkers_m), _points(microphones_m), rt60_s, absorption)
    if crowded > _TRIES // 2:
        raise ConfigError(
            f"rooms: {talkers} talkers do not fit into rooms of {config.length_m} x {config.width_m} m at"
            f" {config.distance_m} m from the microphone and {config.talker_distance_m} m apart;"
            " ask for larger rooms"
        )
    raise ConfigError(
        f"rooms.rt60_s: none of {_TRIES} rooms of {config.length_m} x {config.width_m} x {config.height_m} m"
        f" can have an RT60 of {rt60_s:.3f} s; ask for a longer one or smaller rooms"
        " (a shorter one or larger rooms, if it is long)"
    )


def measured_rt60_s(rir: np.ndarray, sample_rate: int, *, decay_db: float = 30.0) -> float:
    """Read the reverberation time off an impulse response (T,).

    A line through Schroeder's backward integral, from -5 dB over `decay_db`, extended to 60 dB (ISO 3382).
    """
    try:
        from pyroomacoustics.experimental import measure_rt60
    except ImportError as error:
        raise _missing() from error
    return float(measure_rt60(rir, fs=sample_rate, decay_db=decay_db))


def check_range(name: str, limits: Sequence[float], *, least: float | None = None) -> None:
    """Check a (lowest, highest) pair of finite numbers, above `least` where given; raises `ConfigError`."""
    numbers = len(limits) == 2 and all(math.isfinite(limit) for limit in limits)
    if not numbers or limits[0] > limits[1] or (least is not None and limits[0] <= least):
        above = "" if least is None else f", both above {least:g}"
        raise ConfigError(f"{name}: got {list(limits)}, expected [lowest, highest]{above}")


_TRIES = 200
_LOWEST_ABSORPTION, _HIGHEST_ABSORPTION = 0.01, 0.95
_BIN_S = 0.002


def _place(
    config: RoomConfig, size_m: np.ndarray, talkers: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Positions of talkers (S, 3) and microphones (M, 3) in a room; None where no try keeps the distances."""
    wall_m = config.wall_distance_m
    first = np.array([*rng.uniform(wall_m, size_m[:2] - wall_m), rng.uniform(*config.microphone_height_m)])
    angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(config.microphones - 1) / max(
        1, config.microphones - 1
    )
    circle = config.array_radius_m * np.stack(
        [np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=-1
    )
    placed: list[np.ndarray] = []
    for _ in range(_TRIES):
        height_m = rng.uniform(*config.talker_height_m) - first[2]
        distance_m, angle = rng.uniform(*config.distance_m), rng.uniform(0, 2 * np.pi)
        if distance_m <= abs(height_m):
            continue
        across_m = math.sqrt(distance_m**2 - height_m**2)
        talker = first + np.array([across_m * math.cos(angle), across_m * math.sin(angle), height_m])
        inside = np.all(talker >= wall_m) and np.all(talker <= size_m - wall_m)
        if inside and all(np.linalg.norm(talker - other) >= config.talker_distance_m for other in placed):
            placed.append(talker)
        if len(placed) == talkers:
            return np.stack(placed), np.concatenate([first[None], first + circle])
    return None


def _absorption(
    rt60_s: float, size_m: np.ndarray, talkers_m: np.ndarray, microphone_m: np.ndarray
) -> float | None:
    """Absorption that makes `rt60_s` the mean RT60 over the talkers; None where none does."""
    reach_m = _reach_m(rt60_s, np.linalg.norm(talkers_m - microphone_m, axis=-1))
    bins = math.ceil(reach_m / SPEED_OF_SOUND_M_PER_S / _BIN_S) + 1
    energies: list[np.ndarray] = []
    for talker_m in talkers_m:
        distances_m, reflections = _images(size_m, talker_m, microphone_m, reach_m)
        # energy by arrival time and number of reflections, so that any absorption costs one product
        time = ((distances_m - distances_m.min()) / SPEED_OF_SOUND_M_PER_S / _BIN_S).astype(np.int64)
        orders = int(reflections.max()) + 1
        counts = np.bincount(time * orders + reflections, weights=distances_m**-2, minlength=bins * orders)
        energies.append(counts.reshape(bins, orders))

    def decay_s(absorption: float) -> float:
        return float(np.mean([_decay_s(e @ (1 - absorption) ** np.arange(e.shape[1])) for e in energies]))

    low, high = _LOWEST_ABSORPTION, _HIGHEST_ABSORPTION
    if not decay_s(high) <= rt60_s <= decay_s(low):
        return None
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if decay_s(middle) > rt60_s else (low, middle)
    return (low + high) / 2


def _decay_s(energy: np.ndarray) -> float:
    """RT60 of energies in bins of `_BIN_S`: a line through their backward integral, -5 to -45 dB.

    Decays in a shoebox bend (sound along the longest axis lasts longest). With this range the results lie
    within 20 % of what was asked for whether they are measured over 30, 40 or 60 dB.
    """
    left = np.cumsum(energy[::-1])[::-1]
    level_db = 10 * np.log10(np.maximum(left / left[0], 1e-12))
    fitted = (level_db < -5) & (level_db > -45)
    if np.count_nonzero(fitted) < 2:
        return 0.0
    slope_db_per_bin = np.polyfit(np.flatnonzero(fitted), level_db[fitted], 1)[0]
    return -60 / slope_db_per_bin * _BIN_S


def _reach_m(rt60_s: float, distances_m: np.ndarray) -> float:
    return rt60_s * SPEED_OF_SOUND_M_PER_S + float(np.max(distances_m))


def _images(
    size_m: Sequence[float] | np.ndarray,
    talker_m: Sequence[float] | np.ndarray,
    microphone_m: Sequence[float] | np.ndarray,
    reach_m: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror images of a talker within `reach_m` of a microphone: distances and reflections, (I,) each."""
    (x2, nx), (y2, ny), (z2, nz) = (
        _axis(*sides, reach_m) for sides in zip(size_m, talker_m, microphone_m, strict=True)
    )
    yz2 = (y2[:, None] + z2[None]).ravel()
    order = np.argsort(yz2, kind="stable")
    yz2, nyz = yz2[order], (ny[:, None] + nz[None]).ravel()[order]
    # of the images in one plane across the room, those within reach are the nearest ones
    ends = np.searchsorted(yz2, reach_m**2 - x2, side="right")
    squares = np.concatenate([across + yz2[:end] for across, end in zip(x2, ends, strict=True)])
    reflections = np.concatenate([count + nyz[:end] for count, end in zip(nx, ends, strict=True)])
    return np.sqrt(squares), reflections


def _axis(
    side_m: float, talker_m: float, microphone_m: float, reach_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis: squared distances of the images to the microphone, and how often each was mirrored."""
    periods = math.ceil(reach_m / (2 * side_m)) + 1
    period = np.arange(-periods, periods + 1)
    offset_m = np.concatenate([2 * period * side_m + talker_m, 2 * period * side_m - talker_m]) - microphone_m
    mirrored = np.concatenate([np.abs(2 * period), np.abs(2 * period - 1)])
    near = np.abs(offset_m) <= reach_m
    return offset_m[near] ** 2, mirrored[near]


def _draw(distances_m: np.ndarray, gains: np.ndarray, sample_rate: int, samples: int) -> np.ndarray:
    """Impulses at fractional delays as windowed sincs: (samples,) float32, sample 0 at emission."""
    try:
        from pyroomacoustics import constants, libroom
    except ImportError as error:
        raise _missing() from error
    taps = int(constants.get("frac_delay_length"))
    # the builder wants room on both sides of an impulse; what a sinc has before the emission is cut off
    before = taps // 2
    padded = np.zeros(samples + 2 * taps, dtype=np.float32)
    delays_s = (distances_m / SPEED_OF_SOUND_M_PER_S + before / sample_rate).astype(np.float32)
    # one thread: each thread sums its own share, so the rounding of the sum would depend on the machine
    granularity = int(constants.get("sinc_lut_granularity"))
    libroom.rir_builder(padded, delays_s, gains.astype(np.float32), sample_rate, taps, granularity, 1)
    return padded[before : before + samples]


def _high_pass(rirs: np.ndarray, sample_rate: int) -> np.ndarray:
    from scipy.signal import butter, sosfilt

    return sosfilt(butter(2, HIGH_PASS_HZ, "highpass", fs=sample_rate, output="sos"), rirs, axis=-1).astype(
        np.float32
    )


def _point(xyz: np.ndarray) -> tuple[float, float, float]:
    return float(xyz[0]), float(xyz[1]), float(xyz[2])


def _points(positions: np.ndarray) -> tuple[tuple[float, float, float], ...]:
    return tuple(_point(xyz) for xyz in positions)


def _missing() -> MissingExtraError:
    return MissingExtraError(feature="simulating rooms", extra="simulate", package="pyroomacoustics")
