"""What `cse doctor` looks at without loading a model: packages, packaged weights, codecs, the processor, GPUs."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from cse.processor import has_bfloat16

Status = Literal["ok", "note", "better", "broken"]

# extras that the main job is better with; the others serve those who train, simulate or serve
_FOR_THE_JOB = ("offline", "codecs")
_NOT_FOR_USERS = frozenset({"all", "dev"})


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked at.
        status: ok; note: nothing to do about it; better: could be better; broken: does not work.
        found: What there is.
        advice: What would make it better; None where there is nothing.
    """

    name: str
    status: Status
    found: str
    advice: str | None = None


def check_packages() -> Iterator[Finding]:
    """Whether what is installed is what this version of cse was tried with: a line for the core and each extra."""
    try:
        version, requirements = metadata.version("cse"), metadata.requires("cse") or []
    except metadata.PackageNotFoundError:
        yield Finding(
            name="cse",
            status="note",
            found="a bare source tree: which packages it needs is not known",
            advice="pip install -e .",
        )
        return
    yield Finding(name="cse", status="ok", found=f"{version}, Python {platform.python_version()}")
    by_extra = _requirements(requirements)
    for extra, lines in sorted(by_extra.items(), key=lambda entry: entry[0]):
        yield _check_extra(extra, lines)


def _requirements(lines: list[str]) -> dict[str, list[str]]:
    """Requirements that hold on this machine, by extra; those of the core under an empty name."""
    from packaging.requirements import Requirement

    extras = {""} | set(metadata.metadata("cse").get_all("Provides-Extra") or ())
    found: dict[str, list[str]] = {}
    for extra in extras - _NOT_FOR_USERS:
        for line in lines:
            requirement = Requirement(line)
            marker = requirement.marker
            of_core = marker is None or marker.evaluate({"extra": ""})
            if (
                of_core
                if extra == ""
                else not of_core and marker is not None and marker.evaluate({"extra": extra})
            ):
                requirement.marker = None
                found.setdefault(extra, []).append(str(requirement))
    return found


def _check_extra(extra: str, lines: list[str]) -> Finding:
    from packaging.requirements import Requirement

    missing, other = [], []
    for line in lines:
        requirement = Requirement(line)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(requirement.name)
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            other.append(f"{requirement.name} {version}, expected {requirement.specifier}")
    name = f"cse[{extra}]" if extra else "packages"
    remedy = f'pip install "{name}"' if extra else "pip install cse"
    if len(missing) == len(lines) and extra not in ("", *_FOR_THE_JOB):
        return Finding(name=name, status="note", found="not installed")
    if missing or other:
        found = "; ".join([f"without {package}" for package in missing] + other)
        broken = missing and not extra
        return Finding(name=name, status="broken" if broken else "better", found=found, advice=remedy)
    return Finding(name=name, status="ok", found="installed, in versions that were tried together")


def check_weights(folder: Path) -> Iterator[Finding]:
    """Size and sha256 of the models that come with the package: the folders with a config.json in `folder`."""
    for config in sorted(folder.glob("*/config.json")):
        weights = config.parent / "model.safetensors"
        try:
            expected = json.loads(config.read_bytes())["sha256"]
            data = weights.read_bytes()
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = "no sha256 in its config.json"
            if isinstance(error, OSError):
                reason = f"{weights.name}: {error.strerror}"
            yield Finding(name=config.parent.name, status="broken", found=reason, advice="install cse again")
            continue
        if hashlib.sha256(data).hexdigest() != expected:
            yield Finding(
                name=config.parent.name,
                status="broken",
                found="the weights have another sha256 than their config.json says",
                advice="install cse again",
            )
            continue
        yield Finding(
            name=config.parent.name,
            status="ok",
            found=f"{len(data) / 1e6:.1f} MB, sha256 {expected[:12]}… as it should be",
        )


def check_codecs() -> Iterator[Finding]:
    """Which audio can be read."""
    import soundfile

    formats = soundfile.available_formats()
    lacking = [name for name in ("OGG", "MP3", "FLAC") if name not in formats]
    if "OPUS" not in soundfile.available_subtypes("OGG" if "OGG" in formats else "WAV"):
        lacking.append("Opus")
    yield Finding(
        name="libsndfile",
        status="better" if lacking else "ok",
        found=soundfile.__libsndfile_version__
        + (f", without {', '.join(lacking)}" if lacking else ": WAV, FLAC, MP3, OGG with Opus and Vorbis"),
        advice="pip install --upgrade soundfile" if lacking else None,
    )
    try:
        import av
    except ImportError:
        yield Finding(
            name="PyAV",
            status="better",
            found="not installed: m4a, AAC, AMR, webm and CAF cannot be read",
            advice='pip install "cse[codecs]"',
        )
    else:
        yield Finding(name="PyAV", status="ok", found=f"{av.__version__}: m4a, AAC, AMR, webm, CAF")


def check_processor() -> Iterator[Finding]:
    """Cores, threads, bfloat16, GPUs."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    fewer = threads < cores
    yield Finding(
        name="threads",
        status="better" if fewer else "ok",
        found=f"{threads} of {cores} cores",
        advice="unset OMP_NUM_THREADS, or set it to the number of cores" if fewer else None,
    )
    bfloat16 = has_bfloat16()
    yield Finding(
        name="bfloat16",
        status="better" if bfloat16 else "note",
        found="this processor has it" if bfloat16 else "this processor does not have it: float32 is taken",
        advice="--precision bfloat16 is quicker" if bfloat16 else None,
    )
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
        yield Finding(name="GPU", status="better", found=names, advice="--device cuda is quicker")
    else:
        yield Finding(name="GPU", status="note", found="none that torch can use")
