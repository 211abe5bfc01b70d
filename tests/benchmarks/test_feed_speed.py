"""How fast training is fed: seconds of mixture that a data-loader worker makes a second, from cached audio.

By two clocks: the worker's processor time, which says what a worker can do, and the wall's, which is worse by what else
the machine does. "all" is speed, noise and rooms of a bank in every mixture. What the channel does comes on top of
"talkers alone", in every mixture. Run by `make bench`.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from cse.audio import write_audio
from cse.manifest import read_utterances, write_manifest
from cse.testing.corpus import write_utterances
from cse.training.datamodule import DynamicMixingData
from cse.training.dialogue_mixtures import DialogueConfig
from cse.training.memory import keep_freed_memory
from cse.training.mixtures import MixingConfig
from simulate.bank_making import BankConfig, make_bank
from simulate.rooms import RoomConfig

pytestmark = pytest.mark.benchmark
WANTED = 200
SLOWER = "Opus, 16 to 32 kbit/s"  # asked for a share of mixtures
SEGMENT_S, BATCH_SIZE, BATCHES = 4.0, 8, 40
HISTORY_TURNS = 20


@dataclass(frozen=True)
class Corpus:
    """What a training reads."""

    utterances: Path
    noise: Path
    cache: Path
    banks: dict[int, Path]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("feed")
    train = read_utterances(write_utterances(folder, talkers=30, dialogues=30, turns=5, duration_s=6.0))
    # long histories, because they travel to the training process too
    turns = tuple(turn for utterance in train for turn in utterance.history)
    train = [replace(one, history=turns[number : number + HISTORY_TURNS]) for number, one in enumerate(train)]
    dev = read_utterances(write_utterances(folder / "dev", duration_s=1.0, split="dev"))
    manifest = folder / "all.jsonl"
    write_manifest(manifest, train + [replace(one, speaker=f"dev-{one.speaker}") for one in dev])
    (folder / "noise").mkdir()
    for number in range(2):  # as long as DEMAND's
        samples = 0.1 * np.random.default_rng(number).standard_normal(300 * 16000)
        write_audio(folder / "noise" / f"{number}.wav", samples.clip(-1, 1), 16000)
    banks = {}
    for rate in (8000, 16000):
        config = BankConfig(rooms=RoomConfig(rt60_s=(0.2, 0.6)), talkers=2, sample_rate=rate)
        banks[rate] = folder / f"bank{rate}"
        make_bank(banks[rate], config, count=20, progress=False)
    return Corpus(manifest, folder / "noise", folder / "cache", banks)


def options(corpus: Corpus, rate: int) -> dict[str, dict]:
    noise = {"noise_probability": 1.0, "noise_snr_db": (0.0, 10.0)}
    plain = {"speeds": (1.0,)}
    bank = {"reverberation_probability": 1.0, "bank": corpus.banks[rate]}
    return {
        "talkers alone": plain,
        "speed 0.9 to 1.1": {},
        "noise": {**plain, **noise},
        "rooms of a bank": {**plain, **bank},
        "rooms, early targets": {**plain, **bank, "target": "early"},
        "decaying noise": {**plain, "reverberation_probability": 1.0, "rt60_s": (0.2, 0.6)},
        "all": {**noise, **bank},
        "gain, clipping": {**plain, "gain_db": (-10.0, 10.0), "clip_probability": 1.0},
        "telephone band": {**plain, "telephone_probability": 1.0},
        "Opus, 16 to 32 kbit/s": {**plain, "opus_probability": 1.0},
    }


def times_real_time(corpus: Corpus, mixing: MixingConfig, rate: int) -> tuple[float, float]:
    """Seconds of mixture a second of a worker's processor time, and a second of the wall's."""
    data = DynamicMixingData(
        utterances=(corpus.utterances,), cache_dir=corpus.cache, noise=corpus.noise, mixing=mixing, sample_rate=rate,
        batch_size=BATCH_SIZE, steps_per_epoch=BATCHES, workers=1,
    )  # fmt: skip
    data.prepare_data()
    batches = iter(data.train_dataloader())
    next(batches)
    used, started = worker_s(), time.perf_counter()
    seconds = sum(batch["mixture"].numel() / rate for batch in batches)
    wall_s = time.perf_counter() - started
    del batches  # ends the worker, whose time is counted then
    return seconds / (worker_s() - used), seconds / wall_s


def worker_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_a_worker_feeds_faster_than_real_time(corpus, capsys):
    keep_freed_memory()  # as `cse train` does
    rows = []
    for rate in (8000, 16000):
        for name, choice in options(corpus, rate).items():
            for config in (MixingConfig, DialogueConfig):
                mixing = config(talkers=2, segment_s=SEGMENT_S, **choice)
                rows.append((rate, name, config.__name__, *times_real_time(corpus, mixing, rate)))
    with capsys.disabled():
        print(f"\none worker, mixtures of 2 talkers and {SEGMENT_S:g} s: times real time (wanted: {WANTED})")
        print(f"{'rate':>6}  {'mixtures':<22} {'of':<16} {'processor':>9} {'wall':>7}")
        for rate, name, config, processor, wall in rows:
            print(f"{rate:6d}  {name:<22} {config:<16} {processor:9.0f} {wall:7.0f}")
    assert min(processor for _, name, _, processor, _ in rows if name != SLOWER) > WANTED
