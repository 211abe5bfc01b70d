"""The engine for several machines: workers on a Ray cluster."""

from __future__ import annotations

import logging
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from cse.engines.engine import (
    TRIES,
    WAITING_PER_WORKER,
    Engine,
    Failure,
    Item,
    Result,
    attempt,
    died,
    result_of,
)
from cse.engines.pool import check_workers, usable_cores
from cse.errors import CseError, MissingExtraError, one_line

_LOCAL = {  # of a Ray that is started here; what the user has set stands
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listens on the loopback address only, on every system
    "RAY_AUTH_TOKEN": secrets.token_hex(
        32
    ),  # without it, other users of this machine could make it run their code
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # GPUs stay visible to actors that reserve none
}


class RayEngine(Engine):
    """Works in actors of Ray, each with one core and one item at a time; Ray replaces those that die.

    On a cluster, every machine needs this package, and the same files in the same places. Where Ray already runs in
    the calling process, that is used; only what was started here is stopped.

    Args:
        workers: Actors; None is one for each core of the cluster, or of this machine.
        address: Of a cluster, as `ray.init` takes it ("auto", "host:port", "ray://host:port"); None starts Ray on this
            machine, reachable from nowhere else, without its dashboard and its usage reports.

    Raises:
        ConfigError: Fewer than one worker.
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        check_workers(workers)
        if find_spec("ray") is None:
            raise MissingExtraError(feature="the engine ray", extra="ray", package="ray")
        self.workers = workers
        self.address = address

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, name: Callable[[Item], str]
    ) -> Iterator[Result]:
        """See `Engine.map`.

        Raises:
            CseError: As `Engine.map`; or there is no cluster at the address.
        """
        with (
            _cluster(self.address, self.workers) as shared,
            _actors(function, self.workers, shared) as actors,
        ):
            waiting: deque[tuple[Item, Any]] = deque()
            for item in items:
                waiting.append((item, actors.submit(item)))
                while waiting and (
                    len(waiting) == WAITING_PER_WORKER * actors.count or actors.has_finished(waiting[0][1])
                ):
                    yield _result(*waiting.popleft(), name)
            while waiting:
                yield _result(*waiting.popleft(), name)


def _result(item: Any, reference: Any, name: Callable[[Any], str]) -> Any:
    import ray

    try:
        outcome = ray.get(reference)
    except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError):
        raise died(name(item)) from None
    return result_of(outcome, name(item))


@contextmanager
def _cluster(address: str | None, workers: int | None) -> Iterator[bool]:
    """Ray, up and running, and whether it goes on afterwards; one that is started here does not."""
    environment = _LOCAL if address is None else {}
    for variable, value in environment.items():
        os.environ.setdefault(variable, value)  # read when Ray is loaded, and by the processes that it starts
    import ray

    if ray.is_initialized():
        yield True
        return
    here: dict[str, Any] = {"num_cpus": workers or usable_cores(), "include_dashboard": False}
    options = {"address": address} if address else {"address": "local", **here}
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise CseError(
            f"ray: got no cluster at {address or 'this machine'}: {one_line(error)}; expected one that runs; leave the "
            "address out for one on this machine"
        ) from error
    try:
        yield address is not None
    finally:
        ray.shutdown()


@contextmanager
def _actors(function: Callable[[Any], Any], workers: int | None, shared: bool) -> Iterator[_Actors]:
    import ray

    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    # one that finds no core would wait for ever, and its item too
    actors = _Actors(function, cores if workers is None else min(workers, cores))
    try:
        yield actors
    finally:
        if shared:  # else they end with the cluster
            actors.close()


class _Actors:
    """Actors of which each works on one item at a time, so that a death is the fault of one item."""

    def __init__(self, function: Callable[[Any], Any], count: int) -> None:
        import ray

        remote: Any = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=TRIES - 1)(_Worker)
        # in a list, because Ray would unpack an argument that is a reference itself for every item anew
        self._function = [ray.put(function)]
        self.count = count
        self._idle = [remote.remote() for _ in range(count)]
        self._working: dict[Any, Any] = {}

    def submit(self, item: Any) -> Any:
        """Hand an item to an actor that is free, or to the first one that becomes so."""
        self._collect(wait=not self._idle)
        actor = self._idle.pop()
        reference = actor.work.remote(self._function, item)
        self._working[reference] = actor
        return reference

    def has_finished(self, reference: Any) -> bool:
        """Whether the item of this reference is done."""
        self._collect(wait=False)
        return reference not in self._working

    def close(self) -> None:
        """End the actors, whatever they are doing."""
        import ray

        for actor in (*self._idle, *self._working.values()):
            ray.kill(actor)

    def _collect(self, *, wait: bool) -> None:
        import ray

        if self._working:
            references = list(self._working)
            finished, _ = ray.wait(
                references, num_returns=1 if wait else len(references), timeout=None if wait else 0
            )
            self._idle += [self._working.pop(reference) for reference in finished]


class _Worker:
    """One actor, which gets its function with its first item, also when it has been started anew."""

    def __init__(self) -> None:
        self._function: Callable[[Any], Any] | None = None

    def work(self, function: list[Any], item: Any) -> Any | Failure:
        import ray

        if self._function is None:
            self._function = ray.get(function[0])
        assert self._function is not None
        return attempt(self._function, item)
