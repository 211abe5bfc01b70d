"""The paper's lists are fetched once, recorded, and checked from then on."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from cse.errors import CseError

NAMES = ["DailyTalk/test_mix.txt", "SpokenWoz/test_mix.txt"]


@pytest.fixture(scope="module")
def fetch_lists(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "fetch_lists", repository / "egs" / "utils" / "fetch_lists.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "published"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(f"/32/0_1_d32.wav /1405/0_0_d1405.wav -3.9264\nof {name}\n")
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = functools.partial(_Quiet, directory=str(published))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_default_is_a_full_commit(fetch_lists: ModuleType):
    assert re.fullmatch(r"[0-9a-f]{40}", fetch_lists.COMMIT)


def test_files_are_fetched_from_an_address_and_recorded(
    fetch_lists: ModuleType, published: Path, url: str, tmp_path: Path
):
    sums = fetch_lists.fetch(NAMES, tmp_path / "lists", source=url)
    for name in NAMES:
        content = (published / name).read_bytes()
        assert (tmp_path / "lists" / name).read_bytes() == content
        assert sums[name] == hashlib.sha256(content).hexdigest()
    recorded = (tmp_path / "lists" / "SHA256SUMS").read_text()
    assert recorded == "".join(f"{sums[name]}  {name}\n" for name in NAMES)


def test_what_is_there_is_not_fetched_again(fetch_lists: ModuleType, published: Path, tmp_path: Path):
    first = fetch_lists.fetch(NAMES[:1], tmp_path / "lists", source=str(published))
    (published / NAMES[0]).unlink()
    both = fetch_lists.fetch(NAMES, tmp_path / "lists", source=str(published))
    assert both[NAMES[0]] == first[NAMES[0]] and len(both) == 2


def test_a_list_that_changed_is_refused(fetch_lists: ModuleType, published: Path, tmp_path: Path):
    fetch_lists.fetch(NAMES, tmp_path / "lists", source=str(published))
    (tmp_path / "lists" / NAMES[1]).write_text("/1/0_1_d1.wav /2/0_0_d2.wav 0.0\n")
    with pytest.raises(CseError, match="SpokenWoz/test_mix.txt: got a file with sha256"):
        fetch_lists.fetch(NAMES, tmp_path / "lists", source=str(published))


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><p>Sign in</p>", b"\xff\xfe\x00"])
def test_what_is_no_list_is_not_kept(
    fetch_lists: ModuleType, published: Path, tmp_path: Path, content: bytes
):
    (published / NAMES[1]).write_bytes(content)
    with pytest.raises(CseError, match=r"SpokenWoz/test_mix.txt: got no (list|text)"):
        fetch_lists.fetch(NAMES, tmp_path / "lists", source=str(published))
    assert not (tmp_path / "lists" / NAMES[1]).exists()


def test_without_a_network_it_says_what_to_do(fetch_lists: ModuleType, url: str, tmp_path: Path):
    with pytest.raises(CseError, match=r"no\.txt: cannot fetch: .*404.*--lists"):
        fetch_lists.fetch(["DailyTalk/no.txt"], tmp_path / "lists", source=url)
    with pytest.raises(CseError, match="--lists"):
        fetch_lists.fetch(NAMES, tmp_path / "lists", source="http://127.0.0.1:9")
