"""The paper's experiments: the networks to the weight, and the training as published. No language model is loaded."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import nn

from cse.building import TRAINING_PARTS, instantiate
from cse.cli import main
from cse.cli.config import call
from cse.cli.train import _options, _schema
from cse.encoders.lora import LoRATextEncoder
from cse.models.cues.pooling.published import PublishedContext
from cse.models.truncating_filterbank import TruncatingFilterbank
from cse.published.networks import published_config
from cse.published.sizes import Sizes
from cse.training.dialogue_mixtures import DialogueConfig
from cse.training.system import OptimizerConfig
from cse.training.train import TrainerConfig

PARAMETERS = {
    "separator": 25_679_361,
    "contsep": 29_874_946,
    "cont_ext": 29_874_689,
    "h_cont_ext": 30_665_217,
}
every_experiment = pytest.mark.parametrize("experiment", PARAMETERS)


def composed(experiment: str, *more: str) -> dict[str, Any]:
    user = ["output=x", "data.utterances=[y]", "data.noise=DEMAND"]
    return _options([f"experiment=published/{experiment}", *user, *more], _schema())


def built(config: dict[str, Any]) -> nn.Module:
    with torch.device("meta"):  # shapes without numbers
        model: nn.Module = instantiate(config)
    return model


@every_experiment
def test_it_has_exactly_as_many_weights_as_the_published_network(experiment):
    model = built(composed(experiment)["model"])
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[experiment]


@every_experiment
@pytest.mark.parametrize("talkers", [2, 3])
def test_a_converted_checkpoint_is_of_the_same_network(experiment, talkers):
    choice = [f"selector.outputs={talkers}"] if (experiment, talkers) == ("contsep", 3) else []
    model = built(composed(experiment, f"talkers={talkers}", *choice)["model"])
    sizes = Sizes(
        channels=256,
        kernel_size=16,
        width=256,
        talkers=talkers,
        repeats=2,
        layers=8,
        feed_forward=1024,
        cue_width=None if experiment == "separator" else 4096,
        embedding_size=192 if experiment == "h_cont_ext" else None,
        selector_outputs=(1 if talkers == 2 else 3) if experiment == "contsep" else None,
    )
    other = built(published_config(sizes))
    assert type(model) is type(other)
    assert model.sample_rate == other.sample_rate == 8000
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == {
        name: tensor.shape for name, tensor in other.state_dict().items()
    }
    for one in (model, other):
        assert isinstance(one.filterbank, TruncatingFilterbank)
        assert (one.filterbank.stride, one.backbone.chunk_size) == (8, 250)
        assert one.backbone.repeats[0].intra.layers[0].heads == 8
    if experiment != "separator":
        assert isinstance(model.text_cue.pooling, PublishedContext)
        assert model.text_cue.max_turns == other.text_cue.max_turns == 100
        assert type(model.selector) is type(other.selector)
    if experiment == "h_cont_ext":
        voices = [one.speaker_cue.encoder._build for one in (model, other)]
        assert voices[0].func is voices[1].func
        assert voices[0].keywords == voices[1].keywords


@every_experiment
def test_it_is_trained_as_published(experiment):
    options = composed(experiment)
    optimizer = call(OptimizerConfig, options["optimizer"])
    assert optimizer.amsgrad
    assert (
        optimizer.learning_rate == optimizer.learning_rate * optimizer.ratio(optimizer.warmup_steps) == 1.5e-4
    )
    assert 5_000 <= optimizer.warmup_steps <= 10_000
    assert 300_000 <= optimizer.total_steps <= 500_000
    assert optimizer.ratio(optimizer.total_steps) == pytest.approx(0.01)
    trainer = call(TrainerConfig, options["trainer"])
    assert trainer.max_steps == optimizer.total_steps
    assert (trainer.gradient_clip, trainer.precision, trainer.devices) == (5.0, "bf16-mixed", 8)
    assert options["data"]["batch_size"] == 2
    objective = instantiate(options["objective"], parts=TRAINING_PARTS)
    assert getattr(objective, "selection_weight", 5.0) == 5.0
    assert getattr(objective, "contrastive_weight", 0.0) == 0.0
    mixing = options["data"]["mixing"]
    del mixing["_target_"]
    config = call(DialogueConfig, mixing)  # which has all that a separator's mixtures have
    assert (config.segment_s, config.padded, config.speeds) == (16.0, False, (0.9, 1.0, 1.1))
    assert (config.max_delay_s, config.shift_probability, config.max_shift_s) == (0.0, 0.4, 1.0)
    assert (config.cut_probability, config.reverberation_probability, config.has_channel) == (0.5, 0.0, False)
    assert (config.noise_probability, config.noise_snr_db) == (0.5, (0.0, 10.0))
    assert config.random_history_turns
    assert config.max_history_turns == 100
    assert config.absent_probability == config.swapped_enrollment_probability == 0.0
    assert (config.history_dropout > 0) is (config.enrollment_dropout > 0) is (experiment == "h_cont_ext")


def test_the_noise_must_be_given(capsys):
    assert main(["train", "experiment=published/separator", "output=x", "data.utterances=[y]"]) == 2
    assert "data.noise is missing; give it as data.noise=VALUE" in capsys.readouterr().err


def test_a_head_by_place_needs_to_know_the_width_of_the_prompts(capsys):
    options = ["experiment=contsep", "selector=fixed_slot", "output=x", "data.utterances=[y]"]
    assert main(["train", *options]) == 2
    assert "backbone.width" in capsys.readouterr().err


def test_a_head_by_place_goes_with_sepformer_and_prompts():
    options = composed(
        "contsep", "selector=fixed_slot", "backbone=sepformer", "fusion=prompt", "backbone.width=64"
    )
    assert options["model"]["selector"]["width"] == options["model"]["backbone"]["width"] == 64


def test_the_options_of_a_sharded_training_with_a_tuned_language_model_compose():
    llama = "hf://meta-llama/Meta-Llama-3-8B"
    tuned = [
        "text_cue=minilm_lora", f"text_cue.encoder.source={llama}", "text_cue.encoder.sha256=null",
        "text_cue.encoder.width=4096", "text_cue.encoder.max_tokens=8192", "text_cue.pooling.max_turns=100",
        "+text_cue.encoder.gradient_checkpointing=true", "+backbone.checkpoint_gradients=true",
    ]  # fmt: skip
    sharded = [
        "trainer.strategy=fsdp",
        "trainer.precision=32-true",
        "trainer.gradient_clip=0",
        "trainer.num_nodes=2",
    ]
    options = composed("cont_ext", *tuned, *sharded)
    trainer = call(TrainerConfig, options["trainer"])
    assert (trainer.strategy, trainer.gradient_clip, trainer.num_nodes) == ("fsdp", 0.0, 2)
    text_cue = options["model"]["text_cue"]
    known = inspect.signature(LoRATextEncoder).parameters
    assert text_cue["encoder"].pop("_target_") == "cse.encoders.lora.LoRATextEncoder"
    assert set(text_cue["encoder"]) < set(known)
    assert options["model"]["backbone"]["cue_width"] == 4096
    assert built({**options["model"]["backbone"]}).repeats[0].intra.checkpoint_gradients
