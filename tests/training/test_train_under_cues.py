"""`cse train` of models under cues: every experiment and backbone, resumed, started from others, on two processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cse import Extractor, Turn
from cse.audio import write_audio
from cse.building import TRAINING_PARTS, instantiate
from cse.checkpoint import load_checkpoint, load_state
from cse.cli import main
from cse.cli.config import call
from cse.cli.train import _options, _schema
from cse.errors import CheckpointError, ConfigError, MissingCueError
from cse.testing.corpus import speech_like, write_utterances
from cse.training.datamodule import DynamicMixingData
from cse.training.dialogue_mixtures import DialogueConfig
from cse.training.initial import load_initial

SAMPLE_RATE = 8000
TRAINING = [
    f"sample_rate={SAMPLE_RATE}",
    "data.batch_size=2",
    "data.steps_per_epoch=4",
    "data.validation_mixtures=5",
    "data.validation_segment_s=0.5",
    "data.mixing.segment_s=0.5",
    "optimizer.warmup_steps=2",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
]
STFT = ["filterbank.channels=66", "filterbank.hop_size=32"]
CONV_TASNET = ["+backbone.bottleneck=8", "+backbone.hidden=12", "+backbone.blocks=2", "+backbone.repeats=1"]
SEPFORMER = [
    "+backbone.layers=1", "+backbone.repeats=1", "+backbone.heads=2", "+backbone.feed_forward=16",
    "+backbone.chunk_size=20",
]  # fmt: skip
BACKBONES = {
    "conv_tasnet": CONV_TASNET,
    "causal_conv_tasnet": CONV_TASNET,
    "sepformer": [*SEPFORMER, "backbone.width=8"],
    "band_split_rnn": [
        "backbone.band_widths=[6,9,18]", "+backbone.width=8", "+backbone.hidden=8", "+backbone.repeats=1",
    ],
}  # fmt: skip
ENROLLMENT = ["data.mixing.enrollment_s=[0.3,0.5]"]
LISTENER = ["+selector.listener.hidden=12", "+selector.listener.embedding_size=6"]
VOICE = [
    "+selector.voice_listener.hidden=12", "+selector.voice_listener.embedding_size=6",
    "speaker_cue.embedding_size=6", "+speaker_cue.encoder.hidden=8",
]  # fmt: skip
EXPERIMENTS = {"contsep": [], "cont_ext": [], "h_cont_ext": VOICE, "listener": []}
HISTORY = [Turn("Where shall we meet?", "Ana"), Turn("At the station.", "Ben")]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, tiny_bert) -> list[str]:
    folder = tmp_path_factory.mktemp("corpus")
    manifests = [
        write_utterances(folder / split, dialogues=6, sample_rate=SAMPLE_RATE, split=split, seed=seed)
        for seed, split in enumerate(("train", "dev"))
    ]
    # the made-up talkers have the same names in both: validation wants others
    manifests[1].write_text(manifests[1].read_text().replace('"talker', '"other'))
    return [f"data.utterances=[{','.join(map(str, manifests))}]", f"data.cache_dir={folder / 'cache'}"]


@pytest.fixture(scope="module")
def reader(tiny_bert) -> list[str]:
    """Options of a text cue that needs no weights from anywhere."""
    return [
        f"text_cue.encoder.source={tiny_bert}",
        "text_cue.encoder.sha256=null",
        "text_cue.encoder.width=32",
        "text_cue.encoder.max_tokens=64",
        "text_cue.pooling.max_turns=4",
    ]


def options_of(experiment: str, reader: list[str], *, backbone: str = "conv_tasnet") -> list[str]:
    return [
        f"experiment={experiment}", f"backbone={backbone}", *TRAINING, *ENROLLMENT, *STFT, *BACKBONES[backbone],
        *LISTENER, *EXPERIMENTS[experiment], *reader,
    ]  # fmt: skip


def train(output: Path, *options: str) -> None:
    assert main(["train", *options, f"output={output}"]) == 0


def weights(output: Path) -> dict[str, Tensor]:
    return load_checkpoint(output / "model").state


def last_result(output: Path, name: str) -> float:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(output / "tensorboard"))
    events.Reload()
    return float(events.Scalars(f"validation/{name}")[-1].value)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_what_was_trained_extracts(experiment, backbone, corpus, reader, tmp_path):
    train(tmp_path, *options_of(experiment, reader, backbone=backbone), *corpus, "trainer.max_steps=2")
    assert "2 steps" in load_checkpoint(tmp_path / "model").card
    extractor = Extractor.from_pretrained(tmp_path / "model")
    mixture = sum(speech_like(0.6, talker=talker, sample_rate=SAMPLE_RATE) for talker in (0, 1))
    sample = speech_like(0.4, talker=0, sample_rate=SAMPLE_RATE, seed=1)
    result = extractor.extract(mixture, HISTORY, sample_rate=SAMPLE_RATE)
    assert result.waveform.shape == mixture.shape
    assert np.isfinite(result.waveform).all()
    assert 0 <= result.probability <= 1
    assert len(result.candidates) == (2 if experiment in ("contsep", "listener") else 1)
    with pytest.raises(MissingCueError):
        extractor.extract(mixture, sample_rate=SAMPLE_RATE)
    if experiment == "h_cont_ext":
        alone = extractor.extract(mixture, enrollment=sample, sample_rate=SAMPLE_RATE)
        both = extractor.extract(mixture, HISTORY, enrollment=sample, sample_rate=SAMPLE_RATE)
        # each of the three asks something else
        assert len({alone.probability, both.probability, result.probability}) == 3
    else:
        with pytest.raises(MissingCueError, match="history"):
            extractor.extract(mixture, enrollment=sample, sample_rate=SAMPLE_RATE)


@pytest.mark.parametrize(
    ("experiment", "extra"),
    [
        ("contsep", ["fusion=cross_attention"]),
        ("listener", ["+objective.ramp_steps=7"]),
        ("h_cont_ext", ["trainer.ema_decay=0.9"]),
    ],
)
def test_a_run_that_was_stopped_goes_on_as_if_nothing_had_happened(
    experiment, extra, corpus, reader, tmp_path
):
    """With all that has a state: batch norm, dropout, masking, made-up leaks and their ramp, an average of weights."""
    options = [*options_of(experiment, reader), *corpus, "trainer.checkpoint_every_steps=3", *extra]
    train(tmp_path / "whole", *options, "optimizer.total_steps=7", "trainer.max_steps=7")
    # stopped in the middle of the first epoch, then in the middle of the second
    for steps in (3, 6, 7):
        train(tmp_path / "parts", *options, "optimizer.total_steps=7", f"trainer.max_steps={steps}")
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert any("running_mean" in name for name in whole)
    for name in whole:
        assert torch.equal(whole[name], parts[name]), name


def test_training_takes_the_parts_of_a_separator_and_of_a_listener(corpus, reader, tmp_path, capsys):
    separator = ["experiment=separator", *TRAINING, *STFT, *CONV_TASNET, *corpus]
    train(tmp_path / "separator", *separator, "trainer.max_steps=1")
    listener = [*options_of("listener", reader), *corpus]
    train(tmp_path / "listener", *listener, "trainer.max_steps=1", "seed=1")
    starts = [str(tmp_path / name / "model") for name in ("listener", "separator")]
    own = options_of("h_cont_ext", reader)

    def built() -> nn.Module:
        torch.manual_seed(2)
        return instantiate(_options([*own, *corpus, "output=x"], _schema())["model"])

    model, fresh = built(), built().state_dict()
    load_initial(model, starts)
    separated, listened = weights(tmp_path / "separator"), weights(tmp_path / "listener")
    for name, tensor in model.state_dict().items():
        from_listener = name.startswith(("backbone.fusions.", "selector.listener.", "text_cue."))
        source = separated if name in separated else listened if from_listener else fresh
        assert torch.equal(tensor, source[name]), name
    # a part of another size, and nothing to take
    wide = [option.replace("hidden=12", "hidden=16") for option in own]
    start = f"trainer.init_from=[{','.join(starts)}]"
    assert main(["train", *wide, *corpus, start, f"output={tmp_path / 'wide'}", "trainer.max_steps=1"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "does not fit the model" in message
    assert "give both the same sizes" in message
    assert not (tmp_path / "wide" / "model").exists()
    with pytest.raises(CheckpointError, match="expected a model that shares a part with"):
        load_initial(nn.Sequential(nn.Linear(2, 2)), starts)


def test_a_mistyped_option_is_told_from_those_of_the_chosen_experiment(corpus, reader, capsys):
    options = [*options_of("listener", reader), *corpus, "output=x", "objective.ramp=3"]
    assert main(["train", *options]) == 2
    assert "unknown option objective.ramp;" in capsys.readouterr().err


def test_there_must_be_a_validation_mixture_for_every_process(corpus):
    composed = _options(["experiment=separator", *TRAINING, *STFT, *corpus, "output=x"], _schema())["data"]
    mixing = call(DialogueConfig, {"talkers": 2, "segment_s": 0.5})
    data = call(DynamicMixingData, {**composed, "mixing": mixing, "validation_mixtures": 7})
    data.trainer = SimpleNamespace(world_size=8, global_rank=7, accumulate_grad_batches=1)
    with pytest.raises(ConfigError, match="got 7 for 8 processes"):
        data.val_dataloader()


def train_in_two_processes(output: Path, *options: str) -> str:
    """What they write to stdout, together."""
    command = [
        sys.executable, "-m", "cse", "train", *options, f"output={output}", "trainer.devices=2", "trainer.strategy=ddp",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_two_processes_train_the_published_contsep_like_one(corpus, reader, tmp_path, rng):
    (tmp_path / "noise").mkdir()
    write_audio(
        tmp_path / "noise" / "hall.wav", 0.1 * rng.standard_normal(8000).astype(np.float32), SAMPLE_RATE
    )
    options = [
        "experiment=published/contsep", *TRAINING, *ENROLLMENT, *SEPFORMER, *corpus, "filterbank.channels=8",
        "backbone.width=8", *(option for option in reader if "sha256" not in option), "trainer.max_steps=4",
        "trainer.precision=32-true", "data.workers=0", f"data.noise={tmp_path / 'noise'}",
    ]  # fmt: skip
    train(tmp_path / "1", *options, "trainer.devices=1", "trainer.strategy=auto")
    train_in_two_processes(tmp_path / "2", *options, "data.batch_size=1")
    one, two = weights(tmp_path / "1"), weights(tmp_path / "2")
    assert one.keys() == two.keys()
    for name in one:
        assert torch.allclose(one[name], two[name], atol=2e-4), name
    for name in ("si_sdri_db", "selection_accuracy"):
        results = [last_result(tmp_path / processes, name) for processes in "12"]
        assert results[0] == pytest.approx(results[1], abs=0.02)


@pytest.mark.slow
def test_processes_validate_the_model_that_is_saved_whatever_their_batch_norms_have_seen(
    corpus, reader, tmp_path
):
    options = [*options_of("h_cont_ext", reader), *corpus, "data.batch_size=1", "trainer.max_steps=4"]
    shown = train_in_two_processes(tmp_path / "run", *options, "optimizer.learning_rate=0.01")
    assert shown == f"{tmp_path / 'run' / 'model'}\n"
    model = instantiate(load_checkpoint(tmp_path / "run" / "model").config["model"])
    load_state(model, weights(tmp_path / "run"))
    composed = _options([*options, "output=x"], _schema())
    data_options, mixing_options = composed["data"], composed["data"].pop("mixing")
    del mixing_options["_target_"]
    data = call(DynamicMixingData, {**data_options, "mixing": call(DialogueConfig, mixing_options)})
    data.prepare_data()
    objective = instantiate(composed["objective"], parts=TRAINING_PARTS).eval()
    with torch.inference_mode():
        found = [objective.measure(model.eval(), batch)["si_sdri_db"] for batch in data.val_dataloader()]
    alone = torch.cat(found).nanmean().item()
    assert last_result(tmp_path / "run", "si_sdri_db") == pytest.approx(alone, abs=1e-4)
