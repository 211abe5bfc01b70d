"""Mirror images against pyroomacoustics' own, and against images that are mirrored one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from simulate.image_source import image_paths
from simulate.rirs import high_pass
from simulate.rooms import Room

pytest.importorskip("pyroomacoustics")


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
        expected = high_pass(theirs.rir[microphone][0][before : before + until], 8000)
        np.testing.assert_allclose(ours[0, microphone, :until], expected, atol=2e-4 * np.abs(expected).max())


def test_images_are_those_of_mirrors_upon_mirrors() -> None:
    size, talker, microphone = np.array([4.0, 3.0, 2.5]), np.array([1.0, 0.7, 1.6]), np.array([2.9, 2.0, 1.1])
    # every image of up to three reflections, mirrored one wall at a time; different ways to one place are one image
    images = {tuple(talker): 0}
    for reflection, (axis, wall) in itertools.product(
        (1, 2, 3), [(a, w) for a in range(3) for w in (0.0, size[a])]
    ):
        for place, so_far in list(images.items()):
            if so_far == reflection - 1:
                mirrored = list(place)
                mirrored[axis] = round(2 * wall - mirrored[axis], 9)
                images.setdefault(tuple(mirrored), reflection)
    expected = sorted(
        (np.linalg.norm(np.array(place) - microphone), count) for place, count in images.items()
    )
    paths = image_paths(size, talker, microphone, reach_m=30.0)
    few = paths.reflections <= 3
    got = sorted(zip(paths.lengths_m[few], paths.reflections[few], strict=True))
    assert len(got) == len(expected) == 63
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_allclose(paths.gains * paths.lengths_m, 1)


def test_images_fill_the_sphere_within_reach() -> None:
    size = (5.0, 4.0, 3.0)
    paths = image_paths(size, (1.0, 1.0, 1.0), (3.0, 2.0, 1.5), reach_m=60.0)
    assert paths.lengths_m.max() <= 60.0
    # one image in each mirrored room
    assert len(paths.lengths_m) == pytest.approx(4 / 3 * np.pi * 60.0**3 / np.prod(size), rel=0.02)
