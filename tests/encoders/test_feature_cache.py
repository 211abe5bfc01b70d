"""Features are computed once, by whichever process comes first, and no text is kept."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

from cse.encoders.disk_cache import FILE
from cse.encoders.feature_cache import FeatureCache, content_key
from cse.errors import CseError


class Lengths:
    """Makes (rows, 2) of a text, and counts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: list[str]) -> list[np.ndarray]:
        self.texts.extend(texts)
        return [np.full((len(text), 2), len(text), np.float32) for text in texts]


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> FeatureCache:
    return FeatureCache(folder=tmp_path / "a" / "b" if request.param == "disk" else None)


def test_each_text_is_computed_once(cache: FeatureCache) -> None:
    lengths = Lengths()
    found = cache.features(["ab", "", "ab", "abc"], made_by="x", compute=lengths)
    assert [array.shape for array in found] == [(2, 2), (0, 2), (2, 2), (3, 2)]
    again = cache.features(["abc", "ab", ""], made_by="x", compute=lengths)
    assert lengths.texts == ["ab", "", "abc"]
    np.testing.assert_array_equal(again[0], found[3])
    assert cache.features([], made_by="x", compute=lengths) == []


def test_another_encoder_has_other_features(cache: FeatureCache) -> None:
    lengths = Lengths()
    cache.features(["ab"], made_by="x", compute=lengths)
    cache.features(["ab"], made_by="y", compute=lengths)
    assert lengths.texts == ["ab", "ab"]
    assert content_key("x", "ab") != content_key("xa", "b")
    content_key("x", "\ud83d")  # half of a pair, which no encoding takes


def test_the_disk_outlives_the_cache(tmp_path: Path) -> None:
    lengths = Lengths()
    texts = [f"text {number}" for number in range(1200)]
    first = FeatureCache(folder=tmp_path).features(texts, made_by="x", compute=lengths)
    second = FeatureCache(folder=tmp_path).features(texts[::-1], made_by="x", compute=lengths)
    assert len(lengths.texts) == 1200
    np.testing.assert_array_equal(first[-1], second[0])
    second[0][:] = 0  # writable, as torch wants it
    assert not any(b"text 7" in path.read_bytes() for path in tmp_path.iterdir())


def test_memory_is_bounded() -> None:
    cache, lengths = FeatureCache(memory_bytes=100), Lengths()
    for _ in range(2):
        cache.features(["a" * 5, "b" * 5, "c" * 5], made_by="x", compute=lengths)
    assert cache._bytes == 80 == sum(array.nbytes for array in cache._memory.values())
    assert [text[0] for text in lengths.texts] == ["a", "b", "c", "a"]
    assert len(cache.features(["d" * 50], made_by="x", compute=lengths)[0]) == 50
    assert cache._bytes == 0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"something else " * 100)
    with pytest.raises(
        CseError, match=rf"{FILE}: the cache of text features cannot be used: .*; delete the file"
    ):
        FeatureCache(folder=tmp_path).features(["a"], made_by="x", compute=Lengths())
    (tmp_path / FILE).unlink()
    (tmp_path / "file").touch()
    with pytest.raises(CseError, match="name another cache folder"):
        FeatureCache(folder=tmp_path / "file").features(["a"], made_by="x", compute=Lengths())


def test_an_encoder_s_error_stays_what_it_is(cache: FeatureCache) -> None:
    def fail(texts: list[str]) -> list[np.ndarray]:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        cache.features(["a"], made_by="x", compute=fail)


def test_a_pickle_names_the_same_folder(cache: FeatureCache) -> None:
    lengths = Lengths()
    cache.features(["ab"], made_by="x", compute=lengths)
    other = pickle.loads(pickle.dumps(cache))
    other.features(["ab"], made_by="x", compute=lengths)
    assert len(lengths.texts) == (2 if cache.folder is None else 1)


def test_threads_and_a_fork_share_a_cache(cache: FeatureCache) -> None:
    lengths = Lengths()
    wrong: list[BaseException] = []

    def work(offset: int) -> None:
        try:
            for number in range(offset, offset + 30):
                assert (
                    len(cache.features(["a" * (number % 40)], made_by="x", compute=lengths)[0]) == number % 40
                )
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in (0, 7, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    child = os.fork()
    if child == 0:
        work(100)
        os._exit(1 if wrong else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    work(100)
    assert not wrong
