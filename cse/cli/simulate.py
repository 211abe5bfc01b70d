"""`cse simulate`: from a corpus of clean utterances to a manifest of mixtures with their parts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from cse.cli.config import call, compose, usage
from simulate.noise import NoiseConfig
from simulate.render import RenderConfig, render
from simulate.rooms import RoomConfig

_SCHEMA = {"": RenderConfig, "rooms": RoomConfig, "noise": NoiseConfig}


def main(argv: list[str]) -> int:
    """Render mixtures with Hydra overrides, e.g. `utterances=u.jsonl output=data/dev rooms.rt60_s=[0.2,0.6]`."""
    if not argv or {"-h", "--help"} & set(argv):
        print(usage("simulate", "cse simulate utterances=FILE output=FOLDER [KEY=VALUE ...]", schema=_SCHEMA))
        return 0 if argv else 2
    from omegaconf import OmegaConf

    options = OmegaConf.to_container(compose("simulate", argv, schema=_SCHEMA), resolve=True)
    assert isinstance(options, dict)
    manifest, count = _run(**{str(key): value for key, value in options.items() if key in ("utterances", "output")}, rest=options)
    print(manifest)
    print(f"{count} mixtures", file=sys.stderr)
    return 0
