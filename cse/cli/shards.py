"""`cse shards`: from a manifest of mixtures to .tar files that can be trained from, wherever they are kept."""

from __future__ import annotations

import argparse
import sys
import typing
from pathlib import Path

from cse.cli.parser import Parser
from cse.engines.choice import EngineName, make_engine
from simulate.shards import INDEX, write_shards


def main(argv: list[str]) -> int:
    """Parse, write, report."""
    options = _parser().parse_args(argv)
    engine = make_engine(options.engine, workers=options.workers, address=options.ray_address)
    shards = write_shards(options.manifest, options.output, size=options.size, engine=engine)
    print(Path(options.output) / INDEX)
    total_mb = sum(shard.bytes for shard in shards) / 1e6
    print(f"cse shards: {len(shards)} shards, {total_mb:.1f} MB", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="cse shards",
        description="Write a set of mixtures as shards in the form of WebDataset: cse train data=shards reads them "
        "from a folder or from a web server. Shards that are complete are kept when the command is typed again.",
    )
    parser.add_argument("manifest", metavar="MANIFEST", help="mixtures.jsonl")
    parser.add_argument("output", metavar="OUTPUT", help="folder for shards.json and the .tar files")
    parser.add_argument(
        "--size", type=int, default=1000, metavar="N", help="mixtures in a shard (default: %(default)s)"
    )
    parser.add_argument(
        "--engine", choices=typing.get_args(EngineName), default="serial", help="where (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="of pool or ray (default: one a core)")
    parser.add_argument("--ray-address", metavar="HOST:PORT", help="of a Ray cluster (default: this machine)")
    return parser
