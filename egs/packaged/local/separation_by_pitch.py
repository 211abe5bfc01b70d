"""Separation by how far two voices are apart in pitch: what a result of `cse evaluate` hides in its mean."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from cse.audio import load_waveform
from cse.errors import CseError
from cse.evaluation.statistics import bootstrap_interval
from cse.evaluation.tables import markdown_table
from cse.manifest import Mixture, read_mixtures
from cse.training.pitch import pitch_semitones

RATE_HZ = 16000
LIMITS_SEMITONES = (0.0, 2.0, 4.0, 7.0, np.inf)


def distances(mixtures: list[Mixture]) -> dict[str, float]:
    """Semitones between the target and the first interferer of each mixture, by its id."""
    result = {}
    for mixture in mixtures:
        assert mixture.target is not None
        own, other = (
            pitch_semitones(torch.from_numpy(load_waveform(path, RATE_HZ)), RATE_HZ)
            for path in (mixture.target, mixture.interferers[0])
        )
        result[mixture.id] = abs(own - other)
    return result


def rows(by_id: dict[str, float], items: list[dict]) -> Iterator[list[str]]:
    """Range of distances, number of mixtures, mean separation with its 95 % interval."""
    for low, high in pairwise(LIMITS_SEMITONES):
        values = [
            item["separation_si_sdri_db"]
            for item in items
            if item["separation_si_sdri_db"] is not None and low <= by_id.get(item["id"], np.nan) < high
        ]
        if len(values) > 1:
            interval = bootstrap_interval(np.array(values), seed=0)
            least, most = interval if interval is not None else (np.nan, np.nan)
            name = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and more"
            yield [name, str(len(values)), f"{np.mean(values):.1f} dB [{least:.1f}, {most:.1f}]"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path, help="mixtures of two talkers with their targets")
    parser.add_argument("result", type=Path, help="JSON of `cse evaluate` on it")
    options = parser.parse_args()
    if not options.result.is_file():
        parser.error(
            f"{options.result}: not there; make it with `cse evaluate --manifest {options.manifest} --json …`"
        )
    mixtures = [one for one in read_mixtures(options.manifest) if one.target is not None and one.interferers]
    items = json.loads(options.result.read_text(encoding="utf-8"))["per_item"]
    print(markdown_table(["semitones apart", "n", "separation"], list(rows(distances(mixtures), items))))


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
