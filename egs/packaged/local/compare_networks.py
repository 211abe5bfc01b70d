"""Train networks for the same time on one processor core, and measure them on unseen talkers.

Every candidate gets the same mixtures of two talkers in the same order, as many of them as it gets through; the
learning rate rises and falls over the time, not over steps. Time is the processor's, so that it counts the same on a
busy machine. Results are kept in OUTPUT/NUMBER.json; what is there is not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cse.building import instantiate
from cse.cli.config import compose, plain
from cse.errors import CseError
from cse.evaluation.statistics import bootstrap_interval
from cse.files import write_text
from cse.processor import has_bfloat16
from cse.training.datamodule import DynamicMixingData
from cse.training.memory import keep_freed_memory
from cse.training.mixtures import MixingConfig, Mixtures
from cse.training.objectives.separation import Separation
from cse.training.system import OptimizerConfig

STFT = "++filterbank.hop_size=256"
CANDIDATES: dict[str, list[str]] = {
    "band-split RNN, width 32": ["backbone=band_split_rnn", STFT],
    "band-split RNN, width 64": ["backbone=band_split_rnn", STFT, "++backbone.width=64", "++backbone.hidden=128"],
    "the same with attention": [
        "backbone=band_split_rnn", STFT, "++backbone.width=64", "++backbone.hidden=128", "++backbone.attention_heads=4",
    ],
    "Conv-TasNet on the STFT": ["backbone=conv_tasnet", STFT, "++backbone.hidden=256"],
    "Conv-TasNet, learned filters, stride 32": [
        "backbone=conv_tasnet", "filterbank=learned", "++filterbank.kernel_size=64", "++filterbank.stride=32",
        "++filterbank.channels=256", "++backbone.hidden=256",
    ],
    "SepFormer on the STFT": [
        "backbone=sepformer", STFT, "++backbone.width=128", "++backbone.layers=2", "++backbone.heads=4",
        "++backbone.feed_forward=512", "++backbone.chunk_size=50",
    ],
}  # fmt: skip
"""Overrides of `cse train` by what they are called in the table."""

SEGMENT_S = 2.0
BATCH_SIZE = 4
WARMUP = 0.05  # of the time


@dataclass(frozen=True)
class Outcome:
    """What became of one candidate.

    Attributes:
        parameters: Trained weights.
        steps: Steps of `BATCH_SIZE` mixtures.
        si_sdri_db: Of each mixture of unseen talkers.
    """

    parameters: int
    steps: int
    si_sdri_db: list[float]

    def row(self, name: str) -> str:
        """Of the table."""
        values = np.array(self.si_sdri_db)
        low, high = bootstrap_interval(values, seed=0) or (float("nan"), float("nan"))
        heard_s = self.steps * BATCH_SIZE * SEGMENT_S
        return (
            f"| {name} | {self.parameters / 1e6:.2f} M | {heard_s:,.0f} s | "
            f"{values.mean():.2f} [{low:.2f}, {high:.2f}] | {len(values)} |"
        )


def train(model: nn.Module, mixtures: Mixtures, *, minutes: float, learning_rate: float, desc: str) -> int:
    """Train for so many minutes of the processor; returns the number of steps."""
    shape = OptimizerConfig(total_steps=1000, warmup_steps=round(1000 * WARMUP))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=shape.weight_decay, amsgrad=shape.amsgrad)
    objective = Separation()
    step = 0
    for share in _shares(minutes * 60, desc):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * shape.ratio(round(1000 * share))
        batch = mixtures.collate([mixtures[step * BATCH_SIZE + place] for place in range(BATCH_SIZE)])
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            loss: Tensor = sum(objective.loss(model, batch).values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        step += 1
    return step


def _shares(seconds: float, desc: str) -> Iterator[float]:
    """How much of the time has passed, again and again until it has."""
    started, done = time.process_time(), 0.0
    with tqdm(total=round(seconds), desc=desc, unit="s", mininterval=10) as bar:
        while done < seconds:
            yield done / seconds
            done = time.process_time() - started
            bar.update(min(round(done), bar.total) - bar.n)


@torch.inference_mode()
def measure(model: nn.Module, mixtures: Mixtures, count: int) -> list[float]:
    """SI-SDR improvements on fixed mixtures of unseen talkers, in dB."""
    model.eval()
    items = (mixtures.collate([mixtures[number]]) for number in range(count))
    return [float(Separation().measure(model, batch)["si_sdri_db"]) for batch in items]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with speech/utterances.jsonl")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--cache", type=Path, help="folder for decoded audio; OUTPUT/cache")
    parser.add_argument("--minutes", type=float, default=20, help="of one core for each (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="its peak (%(default)s)")
    parser.add_argument("--only", nargs="*", type=int, help="numbers of candidates, from 0; default: all")
    parser.add_argument("--mixtures", type=int, default=100, help="of dev to measure on (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.set_num_threads(1)
    keep_freed_memory()
    data = DynamicMixingData(
        utterances=(options.data / "speech" / "utterances.jsonl",),
        cache_dir=options.cache or options.output / "cache",
        mixing=MixingConfig(talkers=2, segment_s=SEGMENT_S),
        sample_rate=16000,
        batch_size=BATCH_SIZE,
        steps_per_epoch=1,
        validation_mixtures=options.mixtures,
        seed=options.seed,
    )
    data.prepare_data()
    options.output.mkdir(parents=True, exist_ok=True)
    names = list(CANDIDATES)
    print("| network | weights | speech heard | SI-SDRi, dB | n |\n|---|---|---|---|---|")
    for number in options.only if options.only is not None else range(len(names)):
        name, path = names[number], options.output / f"{number}.json"
        if not path.exists():
            torch.manual_seed(options.seed)
            overrides = [*CANDIDATES[name], "data.utterances=[none]", "output=none"]
            model = instantiate(plain(compose("train", overrides))["model"])
            mixtures = data.training_mixtures(length=10**9, world_size=1)
            steps = train(
                model, mixtures, minutes=options.minutes, learning_rate=options.learning_rate, desc=name
            )
            values = measure(model, data.fixed_mixtures(), options.mixtures)
            weights = sum(weight.numel() for weight in model.parameters())
            write_text(path, json.dumps({"parameters": weights, "steps": steps, "si_sdri_db": values}) + "\n")
        print(Outcome(**json.loads(path.read_text(encoding="utf-8"))).row(name), flush=True)


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
