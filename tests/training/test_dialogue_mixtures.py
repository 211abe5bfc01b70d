"""Training mixtures with cues: target, history and enrollment belong together, unless something else was asked for."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from scipy.fft import next_fast_len

from cse.cli.config import call, compose, usage
from cse.errors import ConfigError, ManifestError
from cse.manifest import Utterance, read_utterances, write_manifest
from cse.testing.corpus import write_utterances
from cse.training.datamodule import DynamicMixingData
from cse.training.dialogue_mixtures import DialogueConfig, DialogueMixtures
from cse.training.speed import SpeedChange
from cse.training.waveform_cache import WaveformCache
from simulate.mixing import snr_db

SAMPLE_RATE = 4000
TALKERS = 6


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    """12 dialogues of 5 turns, two of 6 talkers each; even talkers of one gender, every third dialogue of one topic."""
    folder = tmp_path_factory.mktemp("corpus")
    path = write_utterances(
        folder, talkers=TALKERS, dialogues=12, turns=5, duration_s=0.3, sample_rate=SAMPLE_RATE
    )
    utterances = []
    for utterance in read_utterances(path):
        gender = "even" if int(utterance.speaker[-1]) % 2 == 0 else "odd"
        topic = f"topic{int(utterance.dialogue[-3:]) % 3}"
        utterances.append(replace(utterance, extra={"gender": gender, "topic": topic}))
    write_manifest(path, utterances)
    return path


@pytest.fixture(scope="module")
def speech(manifest: Path) -> WaveformCache:
    return decoded(read_utterances(manifest), manifest.parent / "cache")


def decoded(utterances: list[Utterance], folder: Path) -> WaveformCache:
    cache = WaveformCache(utterances, folder, SAMPLE_RATE)
    cache.build()
    return cache


def dataset(speech: WaveformCache, *, seed: int = 0, noise=None, **options) -> DialogueMixtures:
    defaults = {"talkers": 2, "segment_s": 0.4, "speeds": (1.0,), "enrollment_s": (0.2, 0.3)}
    config = DialogueConfig(**{**defaults, **options})
    return config.mixtures(speech=speech, seed=seed, length=20, noise=noise)


class Finder:
    """Tells of which utterance a signal is a scaled, shifted, cut or padded copy, by comparing their samples."""

    def __init__(self, speech: WaveformCache, speeds: tuple[float, ...] = (1.0,)) -> None:
        self.utterances = speech.utterances
        self.known = [(index, speed) for index in range(len(speech.utterances)) for speed in speeds]
        self.waveforms = Copies([SpeedChange(speed)(speech.read(index)) for index, speed in self.known])

    def __call__(self, signal: torch.Tensor) -> tuple[Utterance, float]:
        found = [self.known[number] for number in np.flatnonzero(self.waveforms.of(signal.numpy()))]
        assert len(found) == 1, found
        return self.utterances[found[0][0]], found[0][1]


class Copies:
    """Which of some waveforms, shifted and scaled, is all that there is in a signal."""

    def __init__(self, waveforms: list[np.ndarray]) -> None:
        self.length = max(len(waveform) for waveform in waveforms)
        known = np.stack([np.pad(waveform, (0, self.length - len(waveform))) for waveform in waveforms])
        self.size = next_fast_len(self.length + SAMPLE_RATE, real=True)
        self.spectra = np.fft.rfft(known, self.size).conj()
        self.energy = np.pad(np.cumsum(np.square(known, dtype=np.float64), axis=1), ((0, 0), (1, 0)))

    def of(self, signal: np.ndarray) -> np.ndarray:
        assert len(signal) <= SAMPLE_RATE
        products = np.fft.irfft(np.fft.rfft(signal, self.size) * self.spectra, self.size)
        lags = (np.arange(self.size) + self.length) % self.size - self.length
        first, last = (-lags).clip(0, self.length), (len(signal) - lags).clip(0, self.length)
        overlap = np.maximum(self.energy[:, last] - self.energy[:, first], 1e-3 * self.energy[:, -1:])
        explained = np.max(np.square(products) / overlap, axis=1)  # over all lags
        return explained > (1 - 1e-4) * np.sum(np.square(signal, dtype=np.float64))


@pytest.fixture(scope="module")
def find(speech) -> Finder:
    return Finder(speech)


def test_an_item_is_the_same_every_time_and_in_every_copy(speech):
    options = {
        "speeds": (0.9, 1.0, 1.1), "absent_probability": 0.3, "swapped_enrollment_probability": 0.5,
        "history_dropout": 0.3, "enrollment_dropout": 0.3, "same_dialogue_probability": 0.5,
    }  # fmt: skip
    one = dataset(speech, **options)
    other = pickle.loads(pickle.dumps(one))  # as a data-loader worker gets it
    _ = one[7]
    for index in range(12):
        assert _same(one[index], other[index])
    assert not _same(one[5], one[6])
    assert not _same(one[5], dataset(speech, seed=1, **options)[5])


def _same(one: dict, other: dict) -> bool:
    for key, value in one.items():
        if isinstance(value, torch.Tensor) and isinstance(other[key], torch.Tensor):
            if not torch.equal(value, other[key]):
                return False
        elif value != other[key]:
            return False
    return True


@pytest.mark.parametrize("talkers", [2, 3])
def test_target_history_and_enrollment_belong_together(speech, find, talkers):
    places = set()
    for index in range(25):
        item = dataset(speech, talkers=talkers)[index]
        assert item["talkers"].shape == (talkers, round(0.4 * SAMPLE_RATE))
        assert torch.allclose(item["talkers"].sum(0), item["mixture"], atol=1e-6)
        cast = [find(talker)[0] for talker in item["talkers"]]
        target = cast.pop(item["target"])
        places.add(item["target"])
        assert item["history"] == list(target.history[-len(item["history"]) :])
        assert item["next_speaker"] == target.speaker
        enrolled = find(item["enrollment"])[0]
        assert enrolled.speaker == target.speaker
        assert enrolled.audio not in [target.audio, *(utterance.audio for utterance in cast)]
        assert 0.2 <= len(item["enrollment"]) / SAMPLE_RATE <= 0.3
        assert len({target.speaker, *(utterance.speaker for utterance in cast)}) == talkers
        assert target.dialogue not in {utterance.dialogue for utterance in cast}
    assert places == set(range(talkers))


def test_the_enrollment_is_never_cut_from_the_target(speech, find):
    """Also when the same recording is in the manifest twice, and when the speaker has no other one."""
    utterances = [
        utterance for utterance in speech.utterances if utterance.speaker not in ("talker0", "talker1")
    ]
    for speaker in ("talker0", "talker1"):
        own = next(u for u in speech.utterances if u.speaker == speaker and u.history)
        utterances.append(own)
        if speaker == "talker1":
            utterances.append(replace(own, id="again", dialogue="another"))
    few = decoded(utterances, speech.path.parent)
    mixtures = dataset(few, history_dropout=0.5)
    without = set()
    for index in range(120):
        item = mixtures[index]
        target = item["talkers"][item["target"]]
        if item["enrollment"] is None:
            without.add(item["next_speaker"])
        else:
            assert not Copies([target.numpy()]).of(item["enrollment"].numpy()).any()
        assert item["history"] or item["enrollment"] is not None, "the only cue is not dropped"
    assert without == {"talker0", "talker1"}


def test_absent_means_that_nobody_in_the_mixture_is_asked_for(speech, find):
    mixtures = dataset(speech, absent_probability=0.4, same_dialogue_probability=1.0)
    by_history = {utterance.history: utterance for utterance in speech.utterances}
    absent = [item for item in map(mixtures.__getitem__, range(100)) if item["target"] == -1]
    assert 25 <= len(absent) <= 55
    for item in absent[:15]:
        # turns are unique: the last one tells which utterance was asked for
        asked = next(u for history, u in by_history.items() if history[-1:] == tuple(item["history"][-1:]))
        cast = [find(talker)[0] for talker in item["talkers"]]
        assert asked.speaker not in {utterance.speaker for utterance in cast}
        assert asked.dialogue not in {utterance.dialogue for utterance in cast}
        assert item["next_speaker"] == asked.speaker == find(item["enrollment"])[0].speaker


def test_swapped_enrollments_are_of_an_interferer_or_of_a_stranger_and_the_history_is_right(speech, find):
    mixtures = dataset(
        speech, swapped_enrollment_probability=0.5, history_dropout=0.2, enrollment_dropout=0.2
    )
    kinds = {"target": 0, "interferer": 0, "stranger": 0}
    for item in map(mixtures.__getitem__, range(80)):
        if item["enrollment"] is None:
            continue
        enrolled = find(item["enrollment"])[0]
        cast = [find(talker)[0] for talker in item["talkers"]]
        assert enrolled.audio not in {utterance.audio for utterance in cast}
        target = cast[item["target"]]
        if not item["history"]:
            assert enrolled.speaker == target.speaker, "the only cue is right"
            continue
        assert item["history"][-1] == target.history[-1]
        speakers = [target.speaker, cast[1 - item["target"]].speaker]
        kind = {speakers[0]: "target", speakers[1]: "interferer"}.get(enrolled.speaker, "stranger")
        kinds[kind] += 1
    both = sum(kinds.values())
    assert 0.35 < kinds["target"] / both < 0.65
    assert min(kinds["interferer"], kinds["stranger"]) > 0.1 * both


def test_cues_are_dropped_in_the_asked_shares_and_never_both_unless_asked(speech):
    def shares(**options) -> tuple[float, float, float]:
        items = [dataset(speech, **options)[index] for index in range(200)]
        lost = [(not item["history"], item["enrollment"] is None) for item in items]
        assert all((item["next_speaker"] is None) == (not item["history"]) for item in items)
        return tuple(
            np.mean([one == kind for one in lost]) for kind in ((True, False), (False, True), (True, True))
        )  # type: ignore[return-value]

    assert shares() == (0, 0, 0)
    assert shares(history_dropout=1.0) == (1, 0, 0)
    assert shares(enrollment_dropout=1.0) == (0, 1, 0)
    assert shares(history_dropout=0.3, enrollment_dropout=0.5) == (
        pytest.approx(0.3, abs=0.1), pytest.approx(0.5, abs=0.1), 0,
    )  # fmt: skip
    assert shares(history_dropout=0.4, both_dropout=0.2) == (
        pytest.approx(0.4, abs=0.1), 0, pytest.approx(0.2, abs=0.08),
    )  # fmt: skip


def interferers(speech, find, count: int = 40, **options) -> Iterator[tuple[Utterance, Utterance]]:
    mixtures = dataset(speech, **options)
    for item in map(mixtures.__getitem__, range(count)):
        cast = [find(talker)[0] for talker in item["talkers"]]
        target = cast.pop(item["target"])
        yield from ((target, interferer) for interferer in cast)


def test_interferers_may_be_from_the_same_dialogue(speech, find):
    for target, interferer in interferers(speech, find, 15, same_dialogue_probability=1.0):
        assert interferer.dialogue == target.dialogue
        assert interferer.speaker != target.speaker
    half = [
        target.dialogue == interferer.dialogue
        for target, interferer in interferers(speech, find, 50, same_dialogue_probability=0.5)
    ]
    assert 0.35 < np.mean(half) < 0.65
    third = [
        target.dialogue == interferer.dialogue
        for target, interferer in interferers(speech, find, 10, same_dialogue_probability=1.0, talkers=3)
    ]
    assert sum(third) == 10, "two people talk in a dialogue: the third talker is from elsewhere"


@pytest.mark.parametrize("trait", ["gender", "topic"])
def test_interferers_may_be_alike(speech, find, trait):
    def alike(probability: float) -> float:
        options = {f"same_{trait}_probability": probability}
        pairs = interferers(speech, find, 25, **options)
        return float(
            np.mean([target.extra[trait] == interferer.extra[trait] for target, interferer in pairs])
        )

    assert alike(1.0) == 1.0
    assert alike(0.0) < 0.7


def test_both_traits_at_once_where_there_is_somebody(speech, find):
    pairs = list(interferers(speech, find, same_gender_probability=1.0, same_topic_probability=1.0))
    both = [
        target.extra == interferer.extra
        or not any(
            other.extra == target.extra
            and other.speaker != target.speaker
            and other.dialogue != target.dialogue
            for other in speech.utterances
        )
        for target, interferer in pairs
    ]
    assert all(both)


def test_histories_are_the_last_turns_as_many_as_asked_for(speech):
    lengths = [len(dataset(speech)[index]["history"]) for index in range(80)]
    assert set(lengths) == {1, 2, 3, 4}
    assert {len(dataset(speech, max_history_turns=2)[i]["history"]) for i in range(40)} == {1, 2}
    whole = dataset(speech, min_history_turns=3, random_history_turns=False)
    assert {len(whole[index]["history"]) for index in range(40)} == {3, 4}
    first = dataset(speech, min_history_turns=0)
    found = [first[index] for index in range(80)]
    assert any(not item["history"] for item in found)
    assert all(item["history"] or item["enrollment"] is not None for item in found)


def test_levels_follow_the_paper_s_rule(speech):
    levels = []
    for item in map(dataset(speech, talkers=3).__getitem__, range(60)):
        talkers = list(item["talkers"].numpy())
        target = talkers.pop(item["target"])
        levels += [snr_db(target, interferer) for interferer in talkers]
        assert item["mixture"].abs().max() == pytest.approx(0.9, abs=1e-5)
    assert np.all(np.abs(levels) <= 5.01)
    assert 2.0 < np.std(levels) < 4.5
    assert abs(np.mean(levels)) < 2.0


def test_noise_is_at_the_level_that_was_asked_for(speech):
    noisy = dataset(speech, noise=speech, noise_probability=1.0, noise_snr_db=(10.0, 10.0))
    for index in range(5):
        talkers = noisy[index]["talkers"].sum(0)
        noise = noisy[index]["mixture"] - talkers
        assert snr_db(talkers.numpy(), noise.numpy()) == pytest.approx(10.0, abs=0.1)


def test_the_enrolled_voice_is_as_fast_as_in_the_mixture(speech):
    speeds = (0.9, 1.1)
    find = Finder(speech, speeds)
    mixtures = dataset(speech, speeds=speeds, enrollment_s=(9.0, 9.0))
    found = set()
    for index in range(16):
        item = mixtures[index]
        target, speed = find(item["talkers"][item["target"]])
        enrolled, enrolled_speed = find(item["enrollment"])
        assert (enrolled.speaker, enrolled_speed) == (target.speaker, speed)
        found.add(speed)
    assert found == set(speeds)


def test_long_utterances_are_cut_and_short_ones_padded_anywhere(speech, find):
    short = [dataset(speech, segment_s=0.2)[index] for index in range(10)]
    assert all((item["talkers"].square().mean(-1) > 0).all() for item in short)
    starts = set()
    for index in range(10):
        item = dataset(speech, segment_s=1.0)[index]
        starts.add(int(item["talkers"][item["target"]].abs().gt(1e-4).nonzero()[0]))
    assert len(starts) > 5


def test_a_batch_stacks_sound_and_lists_cues(speech):
    mixtures = dataset(speech, absent_probability=0.5, history_dropout=0.4, enrollment_dropout=0.4)
    items = [mixtures[index] for index in range(6)]
    batch = mixtures.collate(items)
    assert batch["mixture"].shape == (6, 1600) and batch["talkers"].shape == (6, 2, 1600)
    assert batch["target"].tolist() == [item["target"] for item in items]
    assert batch["target"].dtype == torch.int64
    for key in ("history", "next_speaker", "enrollment"):
        assert all(one is item[key] for one, item in zip(batch[key], items, strict=True)), key


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"extra": {}}, {"same_gender_probability": 0.1}, r"same_gender_probability: .* no utterance with a 'gender'"),
        ({"extra": {}}, {"same_topic_probability": 0.1}, r"same_topic_probability: .* no utterance with a 'topic'"),
        ({"dialogue": None}, {"same_dialogue_probability": 0.1}, r"no dialogue in which two speakers talk"),
        ({"history": ()}, {}, r"no utterance with 1 turn\(s\) of history \(the most are 0\)"),
        ({}, {"min_history_turns": 9}, r"no utterance with 9 turn\(s\) of history \(the most are 4\)"),
        ({"speaker": "one"}, {}, r"of 1 speaker\(s\), expected at least 2"),
        ({"dialogue": "one"}, {}, r"0 other speaker\(s\) in other dialogues, expected at least 1"),
        ({}, {"talkers": TALKERS, "absent_probability": 0.1}, rf"expected at least {TALKERS} for mixtures without"),
    ],
)  # fmt: skip
def test_what_the_manifest_lacks_is_named(speech, change, options, message):
    lacking = WaveformCache(
        [replace(u, **change) for u in speech.utterances], speech.path.parent, SAMPLE_RATE
    )
    with pytest.raises(ManifestError, match=message):
        dataset(lacking, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"history_dropout": 0.6, "enrollment_dropout": 0.6}, r"got 1.2 together, expected at most 1"),
        ({"absent_probability": 1.5}, r"absent_probability: got 1.5, expected a share between 0 and 1"),
        ({"max_history_turns": 0}, r"max_history_turns: got 0, expected at least 1"),
        ({"enrollment_s": (3.0, 2.0)}, r"enrollment_s: got \(3.0, 2.0\), expected two lengths"),
        ({"count_weights": (1.0, 1.0)}, r"count_weights: got \(1.0, 1.0\) with cues, .* expected none"),
        ({"one_corpus_probability": 0.5}, r"one_corpus_probability: got 0.5 with cues"),
        ({"close_pitch_probability": 0.5}, r"close_pitch_probability: got 0.5 with cues"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        DialogueConfig(talkers=2, **options)


# ---- the data module


@pytest.fixture(scope="module")
def data_options(manifest, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("dev")
    dev = write_utterances(
        folder, talkers=4, dialogues=6, duration_s=0.4, sample_rate=SAMPLE_RATE, split="dev", seed=1
    )
    dev.write_text(dev.read_text().replace('"talker', '"other'))
    return {
        "utterances": (manifest, dev), "cache_dir": folder / "cache", "sample_rate": SAMPLE_RATE, "batch_size": 2,
        "steps_per_epoch": 3, "validation_mixtures": 5, "validation_segment_s": 0.5,
    }  # fmt: skip


def data_module(data_options: dict, *, rank: int = 0, world_size: int = 1, global_step: int = 0, **changes):
    mixing = DialogueConfig(
        talkers=2, segment_s=0.5, history_dropout=0.3, enrollment_dropout=0.3, absent_probability=0.2,
        swapped_enrollment_probability=0.5, enrollment_s=(0.2, 0.3),
    )  # fmt: skip
    data = DynamicMixingData(mixing=mixing, **{**data_options, **changes})
    data.prepare_data()
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        world_size=world_size, global_rank=rank, accumulate_grad_batches=1, global_step=global_step
    )
    return data


def items(loader) -> list[bytes]:
    return [mixture.numpy().tobytes() for batch in loader for mixture in batch["mixture"]]


def test_two_processes_share_the_items_and_a_resumed_run_goes_on(data_options):
    whole = items(data_module(data_options).train_dataloader())
    assert len(set(whole)) == 6
    ranks = [
        items(data_module(data_options, rank=rank, world_size=2, batch_size=1).train_dataloader())
        for rank in (0, 1)
    ]
    assert [item for pair in zip(*ranks, strict=True) for item in pair] == whole
    assert items(data_module(data_options, global_step=1).train_dataloader()) == whole[2:]
    assert not set(items(data_module(data_options, global_step=3).train_dataloader())) & set(whole)


def test_validation_is_fixed_shared_and_has_every_cue(data_options):
    whole = items(data_module(data_options).val_dataloader())
    ranks = [items(data_module(data_options, rank=rank, world_size=2).val_dataloader()) for rank in (0, 1)]
    assert [len(rank) for rank in ranks] == [3, 2]
    assert sorted(ranks[0] + ranks[1]) == sorted(whole)
    assert items(data_module(data_options, global_step=2).val_dataloader()) == whole
    known = {
        turn.text: number
        for u in read_utterances(data_options["utterances"][1])
        for number, turn in enumerate(u.history)
    }
    for batch in data_module(data_options).val_dataloader():
        assert all(enrollment is not None for enrollment in batch["enrollment"])
        for history in batch["history"]:
            places = [known[turn.text] for turn in history]
            assert places[0] == 0 and all(after == before + 1 for before, after in pairwise(places))


class Listener(pl.LightningModule):
    """Remembers what Lightning gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(()))
        self.heard: list[dict] = []

    def training_step(self, batch: dict, _: int) -> torch.Tensor:
        self.heard.append(batch)
        return (batch["mixture"] * self.level).sum()

    def validation_step(self, batch: dict, _: int) -> None:
        self.heard.append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_hands_histories_on_as_they_are(data_options, tmp_path):
    listener = Listener()
    trainer = pl.Trainer(
        max_steps=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(listener, datamodule=data_module(data_options, workers=1))
    histories = [history for batch in listener.heard for history in batch["history"]]
    assert any(histories) and all(isinstance(history, list) for history in histories)


def test_the_config_composes():
    from omegaconf import OmegaConf

    overrides = [
        "data=dialogue_mixing",
        "output=x",
        "data.utterances=[y]",
        "+data.mixing.absent_probability=0.2",
    ]
    config = OmegaConf.to_container(compose("train", overrides).data, resolve=True)
    target = config["mixing"].pop("_target_")  # type: ignore[index, call-overload]
    assert target == f"{DialogueConfig.__module__}.{DialogueConfig.__name__}"
    mixing = call(DialogueConfig, config["mixing"], "data.mixing")  # type: ignore[index, call-overload]
    assert (mixing.talkers, mixing.absent_probability) == (2, 0.2)


def test_help_says_what_every_option_of_mixing_means():
    lines = usage("train", "cse train", schema={"data.mixing": DialogueConfig}).splitlines()
    for name in ("segment_s", "noise_snr_db", "absent_probability", "enrollment_s"):
        line = next(line for line in lines if line.strip().startswith(f"data.mixing.{name}="))
        assert len(line.split("  ")[-1].split()) > 3, line
