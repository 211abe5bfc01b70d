"""From a set of mixtures to shards: .tar files in the form of WebDataset, for training from object stores.

Layout of the output folder:

    shards.json                   written last: names, numbers of mixtures, sizes and digests of the shards
    settings.json                 manifest and options they were made from: nothing else is added to it
    shard-000000.tar …            each complete, or not there

A shard has so many mixtures, in the order of the manifest; of each, one after the other:

    <key>.json                    its line of the manifest, with the names below in place of paths
    <key>.mixture.flac  <key>.target.flac  <key>.interferer1.flac …  <key>.noise.flac  <key>.enrollment.flac

The key is the id without characters that mean something in WebDataset or on a disk. Audio is 16 bit at the rate of the
mixture, so sums that were exact stay so; it has one channel, that of an array one for each microphone. The bytes of a
shard are a function of the mixtures in it: times, owners and the order of files are fixed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from cse.audio import load_waveform, read_blocks
from cse.engines.engine import Engine
from cse.engines.serial import Serial
from cse.errors import InvalidAudioError, ManifestError
from cse.files import atomic_write, write_text
from cse.manifest import Mixture, read_mixtures, write_manifest
from cse.resampling import resample
from simulate.checks import check_least
from simulate.item import MIXTURE_ARRAY, TARGET_ARRAY
from simulate.settings import claim_folder

INDEX = "shards.json"
FORMAT = 1
_SETTINGS = "settings.json"
_FULL_SCALE = 2**15
_MOST_CHANNELS = 8


@dataclass(frozen=True)
class Shard:
    """One shard, as the index has it.

    Attributes:
        name: Of the file.
        mixtures: How many are in it.
        bytes: Size of the file.
        sha256: Of the file.
    """

    name: str
    mixtures: int
    bytes: int
    sha256: str


def write_shards(
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    size: int = 1000,
    engine: Engine | None = None,
    progress: bool = True,
) -> list[Shard]:
    """Write a set of mixtures as shards; those that are already complete in `output` are kept.

    Args:
        manifest: `mixtures.jsonl`.
        output: Folder for the shards; made where it does not exist.
        size: Mixtures in a shard; the last one may have fewer.
        engine: Where; None is this process. The bytes are the same, wherever they are made.
        progress: Show a bar on stderr.

    Raises:
        ManifestError: The manifest is wrong, or two ids become one key, or the mixtures have several rates.
        ConfigError: `output` holds shards of another manifest or size.
        InvalidAudioError: A file cannot be read, or an array has more channels than FLAC takes; the message names the
            shard.
    """
    check_least("size", size, 1)
    mixtures = read_mixtures(manifest)
    _check(mixtures, manifest)
    folder = Path(output)
    digest = f"sha256:{hashlib.sha256(Path(manifest).read_bytes()).hexdigest()}"
    claim_folder(folder, _SETTINGS, {"manifest": digest, "size": size}, holds="shards")
    parts = [
        _Part(folder / f"shard-{number:06d}.tar", tuple(mixtures[begin : begin + size]))
        for number, begin in enumerate(range(0, len(mixtures), size))
    ]
    made = (engine or Serial()).map(write_shard, parts, name=_name)
    shards = list(tqdm(made, total=len(parts), desc="shards", unit="shard", disable=not progress))
    index: dict[str, Any] = {
        "format": FORMAT,
        "sample_rate": mixtures[0].sample_rate,
        "mixtures": len(mixtures),
        "talkers": max(len(mixture.interferers) + (mixture.target is not None) for mixture in mixtures),
        "shards": [vars(shard) for shard in shards],
    }
    write_text(folder / INDEX, json.dumps(index, indent=1) + "\n")
    return shards


@dataclass(frozen=True)
class _Part:
    """What one shard is made of."""

    path: Path
    mixtures: tuple[Mixture, ...]


def write_shard(part: _Part) -> Shard:
    """Write one shard, complete or not at all; keep one that is there."""
    if not part.path.is_file():
        with (
            atomic_write(part.path) as beside,
            tarfile.open(beside, "w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for mixture in part.mixtures:
                for name, content in _members(mixture):
                    member = tarfile.TarInfo(name)  # time 0, owner 0, mode 0644
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    with part.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Shard(part.path.name, len(part.mixtures), part.path.stat().st_size, digest)


def key_of(identity: str) -> str:
    """The key of a mixture's files: WebDataset takes what follows the first full stop for the kind of a file.

    >>> key_of("000012-talk.1/7")
    '000012-talk_1_7'
    """
    return re.sub(r"[^\w-]", "_", identity, flags=re.ASCII)


def _members(mixture: Mixture) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a mixture's files, its record first."""
    key = key_of(mixture.id)
    audio: dict[str, Path] = {}

    def stored(path: Path, kind: str) -> Path:
        audio[f"{key}.{kind}.flac"] = path
        return Path(f"{key}.{kind}.flac")

    def stored_or_none(path: Path | None, kind: str) -> Path | None:
        return None if path is None else stored(path, kind)

    record = replace(
        mixture,
        mixture=stored(mixture.mixture, "mixture"),
        target=stored_or_none(mixture.target, "target"),
        interferers=tuple(
            stored(path, f"interferer{n}") for n, path in enumerate(mixture.interferers, start=1)
        ),
        noise=stored_or_none(mixture.noise, "noise"),
        enrollment=stored_or_none(mixture.enrollment, "enrollment"),
        extra={name: _beside(value, mixture, stored) for name, value in mixture.extra.items()},
    )
    yield f"{key}.json", _line(record)
    arrays = [record.extra.get(key) for key in (MIXTURE_ARRAY, TARGET_ARRAY)]
    for name, path in audio.items():
        waveform = load_waveform(path, mixture.sample_rate)
        if name in arrays:
            waveform = _all_channels(path, mixture.sample_rate)
        yield name, _flac(waveform, mixture.sample_rate)


def _beside(value: Any, mixture: Mixture, stored: Any) -> Any:
    """The value of a key outside of the contract; files beside the mixture that it names come along."""
    if isinstance(value, str) and Path(value).name == value and Path(value).suffix in (".wav", ".flac"):
        path = mixture.mixture.with_name(value)
        if path.is_file():
            return stored(path, key_of(path.stem)).name
    return value


def _line(record: Mixture) -> bytes:
    """A record as its manifest would have it, if the manifest were beside the unpacked files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.path.realpath(name))

        def placed(path: Path | None) -> Path | None:
            return None if path is None else folder / path

        record = replace(
            record,
            mixture=folder / record.mixture,
            target=placed(record.target),
            interferers=tuple(folder / path for path in record.interferers),
            noise=placed(record.noise),
            enrollment=placed(record.enrollment),
        )
        write_manifest(folder / "line.jsonl", [record])
        return (folder / "line.jsonl").read_bytes()


def _all_channels(path: Path, sample_rate: int) -> np.ndarray:
    """What every microphone of an array heard, (M, T) float32; `load_waveform` takes their mean."""
    info = soundfile.info(path)
    if info.channels > _MOST_CHANNELS:
        raise InvalidAudioError(
            f"{path}: got {info.channels} channels, expected at most {_MOST_CHANNELS}, which is what FLAC takes; "
            "simulate fewer rooms.microphones"
        )
    channels = [
        np.concatenate(list(read_blocks(path, sample_rate=None, channel=channel)))
        for channel in range(info.channels)
    ]
    return resample(np.stack(channels), info.samplerate, sample_rate)


def _flac(waveform: np.ndarray, sample_rate: int) -> bytes:
    """A waveform (T,) or (M, T) as a file."""
    samples = np.clip(np.round(waveform * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples.T, sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _check(mixtures: Sequence[Mixture], manifest: str | os.PathLike[str]) -> None:
    keys: dict[str, str] = {}
    for mixture in mixtures:
        other = keys.setdefault(key_of(mixture.id), mixture.id)
        if other != mixture.id:
            raise ManifestError(
                f"{manifest}: the ids {other} and {mixture.id} both become the key {key_of(mixture.id)}; rename one"
            )
    rates = sorted({mixture.sample_rate for mixture in mixtures})
    if len(rates) > 1:
        raise ManifestError(f"{manifest}: got mixtures at {rates} Hz, expected one rate; make a set for each")


def _name(part: _Part) -> str:
    return part.path.name
