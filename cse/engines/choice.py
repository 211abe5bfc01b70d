"""From an option to an engine."""

from __future__ import annotations

from typing import Literal

from cse.engines.engine import Engine
from cse.errors import ConfigError

EngineName = Literal["serial", "pool", "ray"]


def make_engine(name: EngineName, *, workers: int | None = None, address: str | None = None) -> Engine:
    """The engine of that name.

    Args:
        name: Of the engine.
        workers: Processes of a pool or of Ray; None is one a core.
        address: Of a Ray cluster; None starts one on this machine for as long as it is needed.

    Raises:
        ConfigError: Fewer than one worker, or workers or an address for an engine that has none.
        MissingExtraError: Ray is not installed.

    >>> type(make_engine("serial")).__name__
    'Serial'
    """
    if address is not None and name != "ray":
        raise ConfigError(
            f"got the address {address} for the engine {name}, expected none; take the engine ray"
        )
    if workers is not None and name == "serial":
        raise ConfigError(f"workers: got {workers} for the engine serial, expected none; take pool or ray")
    if name == "pool":
        from cse.engines.pool import Pool

        return Pool(workers)
    if name == "ray":
        from cse.engines.ray import RayEngine

        return RayEngine(workers, address=address)
    from cse.engines.serial import Serial

    return Serial()
