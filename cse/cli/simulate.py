"""`cse simulate`: from a corpus of clean utterances to a manifest of mixtures with their parts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from cse.cli.config import call, compose, plain, usage
from cse.cli.convert import convert
from cse.engines.choice import EngineName, make_engine
from cse.errors import ConfigError
from simulate.channel import ChannelConfig
from simulate.noise import NoiseConfig
from simulate.render import MANIFEST, RenderConfig, render
from simulate.rooms import RoomConfig

_PARTS = {"rooms": RoomConfig, "noise": NoiseConfig, "channel": ChannelConfig}
_SCHEMA = {"": RenderConfig, **_PARTS}


def main(argv: list[str]) -> int:
    """Render mixtures with Hydra overrides, e.g. `utterances=u.jsonl output=dev rooms.rt60_s=[0.2,0.6]`."""
    if not argv or {"-h", "--help"} & set(argv):
        print(usage("simulate", "cse simulate utterances=FILE output=FOLDER [KEY=VALUE ...]", schema=_SCHEMA))
        return 0 if argv else 2
    options = plain(compose("simulate", argv, schema=_SCHEMA))
    utterances, output = (_path(name, options.pop(name)) for name in ("utterances", "output"))
    engine = make_engine(
        convert(options.pop("engine"), EngineName, "engine"),
        workers=convert(options.pop("workers"), int | None, "workers"),
        address=convert(options.pop("ray_address"), str | None, "ray_address"),
    )
    options |= {name: _part(kind, name, options[name]) for name, kind in _PARTS.items()}
    records = render(utterances, output, call(RenderConfig, options), engine=engine)
    print(output / MANIFEST)
    print(f"cse simulate: {len(records)} mixtures", file=sys.stderr)
    return 0


def _part(kind: type[Any], name: str, options: Any) -> Any:
    """Rooms, noise or channel; None where no option of it was given."""
    if not options:
        return None
    if not isinstance(options, dict):
        raise ConfigError(f"{name}: got {options}, expected its options one by one, as {name}.KEY=VALUE")
    return call(kind, options, name)


def _path(name: str, value: Any) -> Path:
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise ConfigError(f"{name}: got {value!r}, expected a path")
    return Path(str(value))
