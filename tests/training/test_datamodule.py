"""The data module: what it trains and validates on, and that nothing but options and seed decides an item."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from cse.cli.config import call
from cse.errors import ConfigError, ManifestError, MissingExtraError
from cse.manifest import Utterance, read_utterances, write_manifest
from cse.testing.corpus import write_utterances
from cse.training.datamodule import DynamicMixingData
from cse.training.dialogue_mixtures import DialogueConfig
from cse.training.mixtures import MixingConfig
from simulate.bank_making import BankConfig, make_bank
from simulate.rooms import RoomConfig

SAMPLE_RATE = 8000
TWO = DialogueConfig(talkers=2, segment_s=0.4, enrollment_s=(0.2, 0.3))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Splits train and dev with dialogues of their own, in which the same four people talk."""
    folder = tmp_path_factory.mktemp("corpus")
    utterances: list[Utterance] = []
    for seed, split in enumerate(("train", "dev")):
        part = write_utterances(
            folder / split,
            dialogues=6,
            duration_s=0.3 + 0.2 * seed,
            sample_rate=SAMPLE_RATE,
            split=split,
            seed=seed,
        )
        utterances += read_utterances(part)
    write_manifest(folder / "utterances.jsonl", utterances)
    return folder / "utterances.jsonl"


def changed(corpus: Path, name: str, change) -> Path:
    path = corpus.with_name(f"{name}.jsonl")
    write_manifest(path, [change(utterance) for utterance in read_utterances(corpus)])
    return path


def data(utterances: Path, *, mixing: MixingConfig = TWO, **options) -> DynamicMixingData:
    options = {
        "sample_rate": SAMPLE_RATE,
        "batch_size": 2,
        "steps_per_epoch": 3,
        "validation_mixtures": 4,
        **options,
    }
    return DynamicMixingData(
        utterances=(utterances,), cache_dir=utterances.parent / "cache", mixing=mixing, **options
    )


# ---- splits


def test_a_speaker_in_both_splits_is_refused_and_the_way_out_is_named(corpus):
    with pytest.raises(
        ManifestError, match=r"speaker talker\d: is in train .*, dev .* data\.disjoint=dialogues"
    ):
        data(corpus)
    data(corpus, disjoint="dialogues")


def test_a_dialogue_in_both_splits_is_refused_whoever_talks(corpus):
    everywhere = changed(corpus, "everywhere", lambda one: replace(one, dialogue="d0"))
    for disjoint in ("speakers", "dialogues"):
        with pytest.raises(ManifestError, match=r"dialogue d0: is in train .*, dev ") as caught:
            data(everywhere, disjoint=disjoint)
        assert "data.disjoint" not in str(caught.value), "it would not help"


def test_audio_in_both_splits_is_refused(corpus):
    utterances = read_utterances(corpus)
    first = next(one for one in utterances if one.split == "train")
    own = [replace(one, speaker=f"{one.split}-{one.speaker}") for one in utterances]
    write_manifest(
        corpus.with_name("again.jsonl"),
        [*own, replace(own[-1], id="again", audio=first.audio, dialogue="another")],
    )
    with pytest.raises(ManifestError, match=r"audio .*\.wav: is in train .*, dev "):
        data(corpus.with_name("again.jsonl"))


def test_one_split_for_both_is_refused(corpus):
    with pytest.raises(ConfigError, match=r"data\.validation_split: got 'train', which is trained on"):
        data(corpus, validation_split="train")


def test_wrong_values_of_disjoint_are_named(corpus):
    options = {
        "utterances": [str(corpus)], "cache_dir": "c", "mixing": TWO, "sample_rate": 8000, "batch_size": 1,
        "steps_per_epoch": 1, "disjoint": "talkers",
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"data\.disjoint: got .*talkers.*speakers.*dialogues"):
        call(DynamicMixingData, options, "data")


# ---- the same bytes


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rooms") / "bank"
    rooms = BankConfig(rooms=RoomConfig(rt60_s=(0.2, 0.25)), talkers=2, sample_rate=SAMPLE_RATE)
    make_bank(folder, rooms, count=10, progress=False)
    return folder


def test_an_item_does_not_depend_on_the_number_of_workers(corpus, bank):
    """With all that may happen to one, and as many threads in this process as the machine has."""
    everything = DialogueConfig(
        talkers=2, segment_s=0.6, max_delay_s=0.1, padded=False, enrollment_s=(0.2, 0.3), shift_probability=0.5,
        cut_probability=0.5, overlap_probability=0.5, noise_probability=0.5, reverberation_probability=0.7, bank=bank,
        target="early", gain_db=(-6.0, 6.0), clip_probability=0.5, telephone_probability=0.5, history_dropout=0.2,
        absent_probability=0.2, swapped_enrollment_probability=0.3,
    )  # fmt: skip

    def made(workers: int) -> list[dict]:
        module = data(
            corpus, mixing=everything, disjoint="dialogues", noise=corpus.parent / "train", workers=workers
        )
        module.prepare_data()
        return [*module.train_dataloader(), *module.val_dataloader()]

    alone = made(0)
    for workers in (1, 2):
        for one, other in zip(alone, made(workers), strict=True):
            assert one["mixture"].numpy().tobytes() == other["mixture"].numpy().tobytes()
            assert one["talkers"].numpy().tobytes() == other["talkers"].numpy().tobytes()
            for key in ("history", "histories", "next_speaker"):
                assert one[key] == other[key]
            for first, second in zip(one["enrollment"], other["enrollment"], strict=True):
                assert first is second is None or torch.equal(first, second)


def test_a_bank_that_does_not_fit_is_refused_before_any_audio_is_decoded(corpus, bank):
    wet = replace(TWO, reverberation_probability=1.0, bank=bank)
    with pytest.raises(ConfigError, match=r"at 8000 Hz, expected 16000 Hz"):
        data(corpus, mixing=wet, disjoint="dialogues", sample_rate=16000)


def test_a_codec_that_is_not_installed_is_refused_before_any_audio_is_decoded(corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"cse\[codecs\]"):
        data(corpus, mixing=replace(TWO, opus_probability=0.1), disjoint="dialogues")


# ---- going on


def used(module: DynamicMixingData, step: int, **trainer) -> list[int]:
    """The mixtures of all processes from a step on until the end of the epoch, in order."""
    indices = []
    world_size = trainer.get("world_size", 1)
    for rank in range(world_size):
        options = {"world_size": world_size, "accumulate_grad_batches": 1, **trainer}
        module.trainer = SimpleNamespace(global_step=step, global_rank=rank, **options)
        indices += list(module.train_dataloader().sampler)
    return sorted(indices)


def test_no_mixture_is_repeated_or_left_out_where_a_step_has_another_number_of_them(corpus):
    options = {"disjoint": "dialogues", "steps_per_epoch": 10}
    first, second, third = (data(corpus, batch_size=size, **options) for size in (8, 4, 6))
    first.prepare_data()
    assert used(first, 5) == list(range(40, 80))
    second.load_state_dict(first.state_dict())  # five steps of eight
    assert used(second, 5) == list(range(40, 60)), "five steps of four are left in this epoch"
    assert used(second, 10) == list(range(60, 100))
    used(second, 12)
    third.load_state_dict(second.state_dict())  # and seven of four
    assert used(third, 12, world_size=3) == list(range(69, 69 + 8 * 18)), "from the next one of process 0 on"
    earlier = data(corpus, batch_size=4, **options)
    assert used(earlier, 5) == list(range(20, 40)), "nothing is known about the steps before"


def test_an_iterator_over_the_mixtures_takes_no_random_numbers_of_the_training(corpus):
    module = data(corpus, disjoint="dialogues")
    module.prepare_data()
    before = torch.get_rng_state()
    for loader in (module.train_dataloader(), module.val_dataloader()):
        next(iter(loader))
    assert torch.equal(torch.get_rng_state(), before)


# ---- a corpus of two people


def two_people(utterance: Utterance) -> Utterance:
    return replace(utterance, speaker=f"person{len(utterance.history) % 2}")


def test_two_people_are_enough_where_the_target_is_always_there(corpus):
    module = data(changed(corpus, "two", two_people), disjoint="dialogues")
    module.prepare_data()
    for batch in [*module.train_dataloader(), *module.val_dataloader()]:
        assert (batch["target"] >= 0).all()


def test_two_people_are_too_few_for_a_mixture_without_the_target(corpus):
    absent = replace(TWO, absent_probability=0.1)
    module = data(changed(corpus, "two", two_people), disjoint="dialogues", mixing=absent)
    module.prepare_data()
    with pytest.raises(ManifestError, match=r"1 other speaker\(s\).*at least 2.*absent_probability"):
        module.train_dataloader()


# ---- noise


NOISY = replace(TWO, noise_probability=0.5)


def noise_used(corpus: Path, folder: Path) -> tuple[set[str], set[str]]:
    """Names of the recordings that training and validation draw from."""
    module = data(corpus, mixing=NOISY, disjoint="dialogues", noise=folder)
    module.prepare_data()
    sets = (module.training_mixtures(length=4, world_size=1), module.fixed_mixtures())
    first, second = ({one.id for one in mixtures._mixer._noise.utterances} for mixtures in sets)
    return first, second


def write_noise(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    for number in range(count):
        (folder / str(number % 3)).mkdir(parents=True, exist_ok=True)
        soundfile.write(
            folder / str(number % 3) / f"{number}.wav", 0.1 * rng.standard_normal(4000), SAMPLE_RATE
        )
    return folder


def test_validation_hears_noise_that_training_does_not(corpus, tmp_path):
    training, validation = noise_used(corpus, write_noise(tmp_path / "noise", 60))
    assert not training & validation
    assert len(training | validation) == 60
    assert 1 <= len(validation) <= 15
    (tmp_path / "noise" / "0" / "0.wav").unlink()
    again, others = noise_used(corpus, tmp_path / "noise")
    assert (again, others) == (training - {"0/0.wav"}, validation - {"0/0.wav"}), "the names decide"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_little_noise_is_still_used(corpus, tmp_path, count):
    training, validation = noise_used(corpus, write_noise(tmp_path / "noise", count))
    assert training and validation
    assert len(training | validation) == count
    assert count == 1 or not training & validation


def test_noise_that_is_asked_for_and_not_there_is_refused(corpus):
    with pytest.raises(ConfigError, match=r"data\.noise: got none with data\.mixing\.noise_probability=0\.5"):
        data(corpus, mixing=NOISY, disjoint="dialogues")
