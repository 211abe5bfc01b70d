"""Traced rays against the mirror images, and against a diffuse field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulate.image_source import image_paths
from simulate.ray_tracing import Rays, traced_paths
from simulate.rirs import Paths
from simulate.rooms import RoomConfig, sample_room

pytest.importorskip("pyroomacoustics")

SIZE_M, TALKER_M, MICROPHONE_M = (5.1, 4.3, 2.9), (1.2, 1.0, 1.5), (3.3, 2.6, 1.2)


def _energy(paths: Paths, absorption: float, step_m: float) -> np.ndarray:
    """Energy that arrives per step of path length, (steps,)."""
    weights = paths.gains**2 * (1 - absorption) ** paths.reflections
    return np.bincount((paths.lengths_m / step_m).astype(int), weights=weights)


def _traced(scattering: float, reach_m: float = 60.0, seeds: int = 4) -> list[Paths]:
    return [
        traced_paths(SIZE_M, TALKER_M, [MICROPHONE_M], reach_m, Rays(scattering, seed))[0]
        for seed in range(seeds)
    ]


def test_rays_of_mirrors_carry_the_energy_of_the_images() -> None:
    images = _energy(image_paths(SIZE_M, TALKER_M, MICROPHONE_M, 60.0), 0.3, 12.0)
    traced = np.mean([_energy(paths, 0.3, 12.0) for paths in _traced(0.0)], axis=0)
    np.testing.assert_allclose(10 * np.log10(traced / images), 0, atol=1.0)


def test_scattered_rays_fill_the_room_with_a_diffuse_field() -> None:
    absorption = 0.2
    length, width, height = SIZE_M
    surface_m2 = 2 * (length * width + length * height + width * height)
    # sound of 1 at 1 m is that of a power of 4 pi; a room of that has 4 power (1 - absorption) / (absorption surface)
    expected = 16 * np.pi * (1 - absorption) / (absorption * surface_m2)
    got = [
        np.sum((paths.gains**2 * (1 - absorption) ** paths.reflections)[paths.reflections > 0])
        for paths in _traced(1.0, reach_m=200.0)
    ]
    assert np.mean(got) == pytest.approx(expected, rel=0.15)
    # and it decays as Eyring (1930) says: by (1 - absorption) every mean free path of 4 volume / surface
    energy = np.mean([_energy(paths, absorption, 5.0) for paths in _traced(1.0, reach_m=120.0)], axis=0)
    slope = np.polyfit(np.arange(4, 20) * 5.0, np.log(energy[4:20]), 1)[0]
    eyring = np.log(1 - absorption) * surface_m2 / (4 * np.prod(SIZE_M))
    assert slope == pytest.approx(eyring, rel=0.1)


def test_nothing_arrives_before_the_direct_sound() -> None:
    microphones = [MICROPHONE_M, (3.3, 2.65, 1.2)]
    for paths, microphone in zip(
        traced_paths(SIZE_M, TALKER_M, microphones, 60.0, Rays(0.9, 3)), microphones, strict=True
    ):
        direct = int(np.argmin(paths.lengths_m))
        assert paths.reflections[direct] == 0
        distance_m = np.linalg.norm(np.subtract(TALKER_M, microphone))
        assert paths.lengths_m[direct] == pytest.approx(distance_m)
        assert paths.gains[direct] == pytest.approx(1 / distance_m)


def test_first_echoes_are_exact_and_weaker_by_what_is_scattered() -> None:
    images = image_paths(SIZE_M, TALKER_M, MICROPHONE_M, 20.0)
    traced = _traced(0.3, reach_m=20.0)[0]
    for count in (1, 2, 3):
        lengths_m = images.lengths_m[images.reflections == count]
        found = np.searchsorted(np.sort(traced.lengths_m), lengths_m)
        np.testing.assert_allclose(np.sort(traced.lengths_m)[found], lengths_m)
    first = np.argmin(np.where(images.reflections == 1, images.lengths_m, np.inf))
    same = np.argmin(np.abs(traced.lengths_m - images.lengths_m[first]))
    assert traced.gains[same] ** 2 == pytest.approx(0.7 * images.gains[first] ** 2)


def test_microphones_of_an_array_hear_the_same_rays() -> None:
    config = RoomConfig(rt60_s=(0.4, 0.4), microphones=2, late="ray_tracing")
    room = sample_room(config, np.random.default_rng(2), talkers=1)
    early, late = np.split(room.rirs(16000).reverberant[0], [1600], axis=-1)
    assert np.corrcoef(early)[0, 1] > 0.1
    # 5 cm apart they hear low notes alike and high ones not, as in a diffuse field
    low, high = (np.fft.irfft(np.fft.rfft(late) * band) for band in _bands(late.shape[-1]))
    assert np.corrcoef(low)[0, 1] > 0.7
    assert abs(np.corrcoef(high)[0, 1]) < 0.3


def _bands(samples: int) -> tuple[np.ndarray, np.ndarray]:
    frequency_hz = np.fft.rfftfreq(samples, 1 / 16000)
    return (frequency_hz > 100) & (frequency_hz < 1000), (frequency_hz > 4000) & (frequency_hz < 7500)


def test_same_room_same_bytes_other_seed_other_tail() -> None:
    config = RoomConfig(rt60_s=(0.2, 0.2), late="ray_tracing")
    one, same = (sample_room(config, np.random.default_rng(5)) for _ in range(2))
    assert one == same
    rirs = one.rirs(8000)
    assert rirs.reverberant.tobytes() == same.rirs(8000).reverberant.tobytes()
    assert one.rays is not None
    other = replace(one, rays=replace(one.rays, seed=one.rays.seed + 7)).rirs(8000)
    np.testing.assert_array_equal(other.direct, rirs.direct)
    assert not np.array_equal(other.reverberant, rirs.reverberant)
    # talkers have tails of their own
    tails = rirs.reverberant[:, 0, 600:]
    assert abs(np.corrcoef(tails)[0, 1]) < 0.3


def test_short_reach_and_small_sphere() -> None:
    alone = traced_paths(SIZE_M, TALKER_M, [MICROPHONE_M], 3.0, Rays(0.0, 0))[0]
    assert np.all(alone.reflections <= 1)
    near_wall = traced_paths(SIZE_M, TALKER_M, [(3.3, 0.2, 1.2)], 40.0, Rays(0.5, 0))[0]
    assert len(near_wall.lengths_m) > 1000
