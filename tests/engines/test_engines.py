"""What every engine keeps: order, laziness, names in errors; and what processes add: deaths, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cse.engines.choice import make_engine
from cse.engines.engine import WAITING_PER_WORKER, Engine, named
from cse.engines.pool import Pool
from cse.engines.serial import Serial
from cse.errors import ConfigError, CseError, ManifestError, MissingExtraError
from cse.testing.work import Remembering, linger, square, square_later, square_or_die, threads

every_engine = pytest.mark.parametrize("engine", [Serial(), Pool(2)], ids=["serial", "pool"])


def label(number: int) -> str:
    return f"number {number}"


def alive(pid: int) -> bool:
    """A process that nobody has waited for yet (a zombie) has ended all the same."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())


@every_engine
def test_results_come_in_the_order_of_the_items(engine: Engine):
    assert list(engine.map(square_later, range(6), name=label)) == [0, 1, 4, 9, 16, 25]


@every_engine
def test_nothing_to_do_is_done(engine: Engine):
    assert list(engine.map(square, [], name=label)) == []


@every_engine
def test_items_are_drawn_as_they_are_needed(engine: Engine):
    drawn: list[int] = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            drawn.append(number)
            yield number
            number += 1

    results = engine.map(square, endless(), name=label)
    assert drawn == []
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(drawn) <= 3 + WAITING_PER_WORKER * 2
    results.close()


@every_engine
def test_an_error_of_ours_keeps_its_class_and_names_the_item(engine: Engine):
    results = engine.map(square, [1, -2, 3], name=label)
    assert next(results) == 1
    with pytest.raises(ConfigError, match=r"^number -2: got -2, expected 0 or more$"):
        next(results)


@every_engine
def test_a_bug_keeps_its_class_and_names_the_item_in_a_note(engine: Engine):
    with pytest.raises(TypeError) as caught:
        list(engine.map(square, ["x"], name=lambda item: f"item {item}"))
    notes = "\n".join(caught.value.__notes__)
    assert "while working on item x" in notes
    if not isinstance(engine, Serial):
        assert "cse/testing/work.py" in notes


@every_engine
def test_the_function_is_sent_once_and_kept(engine: Engine):
    processes: dict[int, list[int]] = {}
    for pid, calls in engine.map(Remembering(), range(12), name=label):
        processes.setdefault(pid, []).append(calls)
    assert all(calls == list(range(1, len(calls) + 1)) for calls in processes.values())
    assert sum(len(calls) for calls in processes.values()) == 12


def test_names_fit_every_error_of_ours():
    wrong = ManifestError("a.jsonl:1: broken", ["a.jsonl:1: broken", "a.jsonl:2: broken"])
    assert str(named(wrong, "corpus")) == "corpus: a.jsonl:1: broken"
    assert len(wrong.problems) == 2
    missing = MissingExtraError(feature="m4a", extra="codecs", package="av")
    assert str(named(missing, "note.m4a")).startswith("note.m4a: m4a needs the package av")


def test_a_worker_of_a_pool_computes_with_one_thread():
    assert set(Pool(1).map(threads, range(2), name=label)) == {1}


def test_what_a_killed_worker_did_is_done_again(tmp_path):
    work = partial(square_or_die, deadly=5, folder=tmp_path, deaths=2)
    assert list(Pool(2).map(work, range(20), name=label)) == [number**2 for number in range(20)]
    assert len(list(tmp_path.glob("death*"))) == 2


def test_an_item_that_always_kills_its_worker_is_an_error_with_its_name(tmp_path):
    work = partial(square_or_die, deadly=3, folder=tmp_path, deaths=99)
    results = Pool(2).map(work, range(20), name=label)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(CseError, match="number 3: the process that worked on it died 3 times"):
        next(results)


def test_a_closed_iterator_ends_its_workers_and_lets_them_tidy_up(tmp_path):
    results = Pool(2).map(partial(linger, folder=tmp_path, first=0), range(9), name=label)
    assert next(results) == 0
    assert wait_until(lambda: list(tmp_path.glob("pid*")))
    results.close()
    workers = [int(path.name.removeprefix("pid")) for path in tmp_path.glob("pid*")]
    assert not any(map(alive, workers))
    assert {path.name.removeprefix("tidied") for path in tmp_path.glob("tidied*")} == set(map(str, workers))


SCRIPT = """
from functools import partial
from pathlib import Path
import signal
import sys
from cse.engines.pool import Pool
from cse.testing.work import linger

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    try:
        list(Pool(2).map(partial(linger, folder=Path(sys.argv[1])), range(9), name=str))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_survives_the_one_that_started_it(tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, script, tmp_path], start_new_session=True, stderr=subprocess.PIPE
    )
    try:
        assert wait_until(lambda: len(list(tmp_path.glob("pid*"))) == 2)
        workers = [int(path.name.removeprefix("pid")) for path in tmp_path.glob("pid*")]
        if how == signal.SIGINT:
            os.killpg(process.pid, how)  # as a terminal sends it: to all of them
        else:
            process.send_signal(how)
        _, said = process.communicate(timeout=30)
        assert process.returncode == (130 if how == signal.SIGINT else -how)
        assert b"Traceback" not in said
        assert wait_until(lambda: not any(map(alive, workers)))
    finally:
        process.kill()


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_are_refused(workers):
    with pytest.raises(ConfigError, match="expected 1 or more"):
        make_engine("pool", workers=workers)
