"""Two Ray workers on this machine: in order, whatever dies, and nothing is stopped that was not started here."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from cse.cli import main
from cse.engines.choice import make_engine
from cse.engines.ray import _LOCAL, RayEngine
from cse.errors import ConfigError, CseError, MissingExtraError
from cse.testing.corpus import write_utterances
from cse.testing.work import Remembering, do_or_die, square, square_later, square_or_die
from simulate.render import RenderConfig, render

pytestmark = pytest.mark.slow
if find_spec("ray") is None:
    pytest.skip("Ray is not installed: pip install 'cse[ray]'", allow_module_level=True)
os.environ.update(_LOCAL)  # before Ray is loaded, as the engine does it
ray = importlib.import_module("ray")


def label(number: int) -> str:
    return f"number {number}"


@pytest.fixture(scope="module")
def running() -> Iterator[None]:
    """Ray as a caller may have started it before."""
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
    )
    yield
    ray.shutdown()


def test_ray_is_started_here_and_stopped_with_the_last_result():
    results = make_engine("ray", workers=2).map(square_later, range(6), name=label)
    assert next(results) == 0
    assert ray.is_initialized()
    assert ray.util.get_node_ip_address() == "127.0.0.1"
    assert list(results) == [1, 4, 9, 16, 25]
    assert not ray.is_initialized()


@pytest.mark.usefixtures("running")
def test_what_a_killed_worker_did_is_done_again(tmp_path):
    work = partial(square_or_die, deadly=5, folder=tmp_path, deaths=1)
    assert list(RayEngine(2).map(work, range(20), name=label)) == [number**2 for number in range(20)]
    assert len(list(tmp_path.glob("death*"))) == 1
    assert ray.is_initialized()


class DeadlyRay(RayEngine):
    """Two workers, of which one is killed in the middle of the fourth item."""

    def __init__(self, folder: Path) -> None:
        super().__init__(2)
        self.folder = folder

    def map(self, function, items, *, name):
        deadly = partial(do_or_die, function=function, deadly=items[3], folder=self.folder, deaths=1)
        return super().map(deadly, items, name=name)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("running")
def test_mixtures_have_the_same_bytes_as_in_this_process_though_a_worker_is_killed(tmp_path):
    corpus = write_utterances(tmp_path / "corpus", dialogues=3, sample_rate=8000)
    config = RenderConfig(sample_rate=8000, limit=8)
    render(corpus, tmp_path / "here", config, progress=False)
    (tmp_path / "deaths").mkdir()
    records = render(corpus, tmp_path / "ray", config, engine=DeadlyRay(tmp_path / "deaths"), progress=False)
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert len(records) == 8
    assert content(tmp_path / "ray") == content(tmp_path / "here")


@pytest.mark.usefixtures("running")
def test_an_item_that_always_kills_its_worker_is_an_error_with_its_name(tmp_path):
    work = partial(square_or_die, deadly=3, folder=tmp_path, deaths=99)
    results = RayEngine(2).map(work, range(20), name=label)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(CseError, match="number 3: the process that worked on it died 3 times"):
        next(results)
    assert len(list(tmp_path.glob("death*"))) == 3


@pytest.mark.usefixtures("running")
def test_an_error_of_ours_keeps_its_class_and_names_the_item():
    results = RayEngine(2).map(square, [1, -2, 3], name=label)
    assert next(results) == 1
    with pytest.raises(ConfigError, match=r"^number -2: got -2, expected 0 or more$"):
        next(results)


@pytest.mark.usefixtures("running")
def test_the_function_is_sent_once_and_no_more_workers_than_cores_are_asked_for():
    calls = list(RayEngine(50).map(Remembering(), range(12), name=label))
    assert len({pid for pid, _ in calls}) <= 2
    assert {pid: max(n for other, n in calls if other == pid) for pid, _ in calls} == {
        pid: sum(other == pid for other, _ in calls) for pid, _ in calls
    }


def test_a_cluster_that_is_not_there_is_one_line():
    if ray.is_initialized():
        ray.shutdown()
    with pytest.raises(CseError, match=r"^ray: got no cluster at nowhere"):
        list(RayEngine(address="nowhere").map(square, [1], name=label))


@pytest.mark.parametrize("command", ["rirs", "simulate"])
def test_commands_hand_the_address_over(command, tmp_path, capsys):
    if ray.is_initialized():
        ray.shutdown()
    utterances = write_utterances(tmp_path, dialogues=2, sample_rate=8000)
    made_of = {"rirs": ["count=1", "rooms.rt60_s=[0.2,0.3]"], "simulate": [f"utterances={utterances}"]}[
        command
    ]
    assert main([command, f"output={tmp_path}/out", *made_of, "engine=ray", "ray_address=nowhere"]) == 2
    assert "ray: got no cluster at nowhere" in capsys.readouterr().err


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("cse.engines.ray.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r'pip install "cse\[ray\]"'):
        make_engine("ray")
