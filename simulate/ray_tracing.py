"""Sound as rays where walls scatter it: a diffuse late part behind the first mirror images.

Rays leave a talker in all directions. At every wall a ray is mirrored, or thrown back in a random direction by
Lambert's law, as often as the scattering coefficient says; it arrives whenever it crosses a sphere around the
microphone. Specular paths of few reflections are left to the exact mirror images (the hybrid of Schröder 2011).

The tracer is our own. That of `pyroomacoustics` folds the absorption into its rays, so that finding the
absorption for an RT60 takes one trace a try, where rays that count their reflections need one for all; and it
gives each microphone noise of its own, where rays that keep their last wall reach an array in step.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulate.image_source import image_paths
from simulate.rirs import Paths

# Mirror images of more reflections add little that is heard as single echoes.
_IMAGE_REFLECTIONS = 3
_RADIUS_M = 0.5  # of the sphere; less where a wall is nearer, so that all of it lies in the room
_RAYS = 4000  # for a sphere of that radius; smaller ones need more for as many arrivals


@dataclass(frozen=True)
class Rays:
    """How rays are drawn.

    Attributes:
        scattering: Part of the energy that walls scatter instead of mirroring it, 0..1.
        seed: Of the directions, and of the signs on arrival.
    """

    scattering: float
    seed: int


def traced_paths(
    size_m: Sequence[float] | np.ndarray,
    talker_m: Sequence[float] | np.ndarray,
    microphones_m: Sequence[Sequence[float]] | np.ndarray,
    reach_m: float,
    rays: Rays,
) -> list[Paths]:
    """The paths of up to `reach_m` from a talker to every microphone; the first is traced, the others lie near it.

    The gains of one path are those of many that arrive about then, with random signs: their energies add up.
    """
    size, talker, microphones = (
        np.asarray(place, dtype=float) for place in (size_m, talker_m, microphones_m)
    )
    radius_m = min(_RADIUS_M, float(microphones[0].min()), float((size - microphones[0]).min()))
    count = round(_RAYS * (_RADIUS_M / radius_m) ** 2)
    rng = np.random.default_rng(rays.seed)
    arrivals = _trace(size, talker, microphones[0], radius_m, reach_m, count, rays.scattering, rng)
    lengths_m, reflections, walls_m = (np.concatenate(parts) for parts in zip(*arrivals, strict=True))
    # at d metres, (radius / 2d)² of a talker's rays hit the disc of the sphere, and sound arrives with 1 / d²
    gains = rng.choice([-2.0, 2.0], size=len(lengths_m)) / (radius_m * math.sqrt(count))
    paths = []
    for microphone in microphones:
        mirrored = _first_images(size, talker, microphone, reach_m, rays.scattering)
        last_m = np.linalg.norm(microphone - walls_m, axis=-1)
        paths.append(
            Paths(
                np.concatenate([mirrored.lengths_m, lengths_m + last_m]),
                np.concatenate([mirrored.reflections, reflections]),
                np.concatenate([mirrored.gains, gains]),
            )
        )
    return paths


class _Arrivals(NamedTuple):
    """Rays that cross the sphere: their lengths up to their last wall, reflections, and where that was, (I, 3)."""

    lengths_m: np.ndarray
    reflections: np.ndarray
    walls_m: np.ndarray


def _trace(
    size_m: np.ndarray,
    talker_m: np.ndarray,
    microphone_m: np.ndarray,
    radius_m: float,
    reach_m: float,
    count: int,
    scattering: float,
    rng: np.random.Generator,
) -> Iterator[_Arrivals]:
    """Follow rays from wall to wall: the arrivals between two walls that the mirror images leave out."""
    place = np.tile(talker_m, (count, 1))
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    length_m = np.zeros(count)
    scattered = np.zeros(count, dtype=bool)
    for reflections in itertools.count():
        step_m, axis = _wall_ahead(place, direction, size_m)
        to_m = microphone_m - place
        along_m = np.sum(to_m * direction, axis=-1)
        heard = scattered | (reflections > _IMAGE_REFLECTIONS)
        last_m = np.linalg.norm(to_m, axis=-1)
        heard &= (along_m > 0) & (along_m <= step_m) & (length_m + last_m <= reach_m)
        heard &= last_m**2 - along_m**2 <= radius_m**2
        yield _Arrivals(length_m[heard], np.full(np.count_nonzero(heard), reflections), place[heard])
        length_m = length_m + step_m
        on = length_m < reach_m
        if not on.any():
            return
        rows, across = np.arange(np.count_nonzero(on)), axis[on]
        place = (place + step_m[:, None] * direction)[on]
        direction, length_m, scattered = direction[on], length_m[on], scattered[on]
        place[rows, across] = np.where(direction[rows, across] > 0, size_m[across], 0.0)
        direction[rows, across] *= -1
        thrown = rng.random(len(rows)) < scattering
        direction[thrown] = _thrown_back(across[thrown], direction[rows, across][thrown], rng)
        scattered |= thrown


def _wall_ahead(
    place: np.ndarray, direction: np.ndarray, size_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far the next wall is, and the axis that it stands across."""
    with np.errstate(divide="ignore"):  # a ray along a wall never reaches it
        ahead_m = np.abs((np.where(direction > 0, size_m, 0.0) - place) / direction)
    axis = np.argmin(ahead_m, axis=-1)
    return np.take_along_axis(ahead_m, axis[:, None], axis=-1)[:, 0], axis


def _thrown_back(axis: np.ndarray, inwards: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Directions off walls across `axis` by Lambert's law; the sign of `inwards` says to which side."""
    squared = rng.random(len(axis))
    turn = rng.uniform(0, 2 * np.pi, size=len(axis))
    flat = np.sqrt(1 - squared)
    local = np.stack([np.sign(inwards) * np.sqrt(squared), flat * np.cos(turn), flat * np.sin(turn)], axis=-1)
    # the first of the three is across the wall
    return np.take_along_axis(local, (np.arange(3) - axis[:, None]) % 3, axis=-1)


def _first_images(
    size_m: np.ndarray, talker_m: np.ndarray, microphone_m: np.ndarray, reach_m: float, scattering: float
) -> Paths:
    """Mirror images of few reflections, with what scattering leaves of them."""
    furthest_m = (_IMAGE_REFLECTIONS + 1) * float(np.linalg.norm(size_m))
    images = image_paths(size_m, talker_m, microphone_m, min(reach_m, furthest_m))
    few = images.reflections <= _IMAGE_REFLECTIONS
    reflections = images.reflections[few]
    return Paths(
        images.lengths_m[few], reflections, images.gains[few] * (1 - scattering) ** (reflections / 2)
    )
