"""Splits by name: draws that do not depend on order, lists that are refused with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cse.corpora.splits import Splits, draw, read_names
from cse.errors import ManifestError

NAMES = [str(number) for number in range(200)]


def test_a_draw_depends_on_names_and_seed_alone():
    drawn = draw(NAMES, count=20, seed=0)
    assert len(drawn) == 20
    assert draw(reversed(NAMES), count=20, seed=0) == drawn
    assert draw(NAMES, count=20, seed=1) != drawn


def test_a_larger_draw_holds_the_smaller_one_and_new_names_change_little():
    drawn = draw(NAMES, count=20, seed=0)
    assert drawn < draw(NAMES, count=30, seed=0)
    assert len(drawn & draw([*NAMES, "new", "newer"], count=20, seed=0)) >= 18


def test_too_few_to_draw_from():
    with pytest.raises(ManifestError, match="got 200 groups to draw 201 from"):
        draw(NAMES, count=201, seed=0)


def test_a_group_has_one_split():
    with pytest.raises(ManifestError, match="'b' first, are in dev and in test"):
        Splits(dev=frozenset("ab"), test=frozenset("bc"))


def test_lists_are_read_as_people_write_them(tmp_path: Path):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeff32 \r\n\r\n44\r\nZoë".encode())
    assert read_names(path) == ["32", "44", "Zoë"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"32\n44\n32\n", ":3: got '32' a second time (first in line 1)"),
        (b"\n", "is empty"),
        (b"\xff", "no text"),
    ],
)
def test_wrong_lists_say_where(tmp_path: Path, content: bytes, said: str):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        read_names(path)
    assert str(path) in str(caught.value) and said in str(caught.value)


def test_a_list_that_is_not_there(tmp_path: Path):
    with pytest.raises(ManifestError, match="No such file"):
        read_names(tmp_path / "no.txt")
