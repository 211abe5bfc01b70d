"""`cse rirs`: a bank of simulated rooms, made once for rendering and training."""

from __future__ import annotations

import sys
from pathlib import Path

from cse.cli.config import call, compose, plain, usage
from cse.cli.convert import convert
from cse.engines.choice import EngineName, make_engine
from simulate.bank_making import BankConfig, make_bank
from simulate.rooms import RoomConfig

_SCHEMA = {"": BankConfig, "rooms": RoomConfig}


def main(argv: list[str]) -> int:
    """Make a bank with Hydra overrides, e.g. `output=data/rirs count=1000 rooms.rt60_s=[0.2,0.6]`."""
    if not argv or {"-h", "--help"} & set(argv):
        print(
            usage(
                "rirs",
                "cse rirs output=FOLDER count=N rooms.rt60_s=[LOW,HIGH] [KEY=VALUE ...]",
                schema=_SCHEMA,
            )
        )
        return 0 if argv else 2
    options = plain(compose("rirs", argv, schema=_SCHEMA))
    output = convert(options.pop("output"), Path, "output")
    count = convert(options.pop("count"), int, "count")
    engine = make_engine(
        convert(options.pop("engine"), EngineName, "engine"),
        workers=convert(options.pop("workers"), int | None, "workers"),
        address=convert(options.pop("ray_address"), str | None, "ray_address"),
    )
    rooms = call(RoomConfig, options.pop("rooms"), "rooms")
    bank = make_bank(output, call(BankConfig, {**options, "rooms": rooms}), count=count, engine=engine)
    print(output)
    print(f"cse rirs: {len(bank)} rooms", file=sys.stderr)
    return 0
