"""Which shards there are: their index, on a disk or on a web server.

Indices and shards may come from strangers: nothing in them is unpickled, run, unpacked or followed. An address is a
path or begins with http:// or https://; there is no form of it that starts a program.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cse.errors import ConfigError, ManifestError, one_line
from cse.training.shards.places import read_text

INDEX = "shards.json"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*\.tar", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ShardAddress:
    """Where a shard is, and what it has to be.

    Attributes:
        place: Path or URL of the .tar file.
        mixtures: How many are in it.
        bytes: Size of the file.
        sha256: Of the file.
    """

    place: str
    mixtures: int
    bytes: int
    sha256: str


def read_indices(places: Iterable[str], *, sample_rate: int, talkers: int) -> list[ShardAddress]:
    """The shards at some places.

    Args:
        places: Folders with a shards.json, or paths or URLs of that, or of one of its shards.
        sample_rate: That their mixtures must have, in Hz.
        talkers: That their largest mixtures must have.

    Raises:
        ConfigError: No place, or one of another form, or mixtures of another rate or number of talkers.
        ManifestError: An index is wrong.
        CseError: An index cannot be read.
    """
    shards: list[ShardAddress] = []
    for place in places:
        index, name = _index_of(place)
        content = _parse_index(index)
        got = (content["sample_rate"], content["talkers"])
        if got != (sample_rate, talkers):
            raise ConfigError(
                f"{index}: got mixtures of {got[1]} talkers at {got[0]} Hz, expected {talkers} at {sample_rate} Hz; "
                "set `talkers` and `sample_rate`"
            )
        base = index.removesuffix(index.rpartition("/")[2])
        found = [_address(base, shard, index) for shard in content["shards"]]
        shards += [shard for shard in found if name is None or shard.place == f"{base}{name}"]
        if name is not None and name not in {shard.place.removeprefix(base) for shard in found}:
            raise ManifestError(f"{place}: {index} has no such shard")
    if not shards:
        raise ConfigError(
            "data.shards: got no shards, expected folders or URLs that `cse shards` has written to"
        )
    return shards


def _index_of(place: str) -> tuple[str, str | None]:
    """The address of the index, and the one shard that is asked for."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", place)
    if scheme is not None and not place.lower().startswith(("http://", "https://")):
        raise ConfigError(f"{place}: got a {scheme[1]} address, expected a path, http:// or https://")
    if place.endswith(".tar"):
        base, _, name = place.rpartition("/")
        return (f"{base}/{INDEX}" if base else INDEX), name
    return (place if place.endswith(".json") else f"{place.rstrip('/')}/{INDEX}"), None


def _parse_index(index: str) -> dict[str, Any]:
    try:
        content = json.loads(read_text(index))
        if content["format"] != 1:
            raise ManifestError(f"{index}: got format {content['format']!r}, expected 1; use a newer version")
        _ = int(content["sample_rate"]), int(content["talkers"]), list(content["shards"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ManifestError(
            f"{index}: got no index of shards ({one_line(error)}); write it with `cse shards`"
        ) from None
    return dict(content)


def _address(base: str, shard: Any, index: str) -> ShardAddress:
    try:
        address = ShardAddress(
            f"{base}{shard['name']}", int(shard["mixtures"]), int(shard["bytes"]), str(shard["sha256"])
        )
        if (
            not _NAME.fullmatch(shard["name"])
            or not _SHA256.fullmatch(address.sha256)
            or address.mixtures < 1
        ):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise ManifestError(
            f"{index}: got the shard {str(shard)[:80]}, expected name, mixtures, bytes, sha256"
        ) from None
    return address
