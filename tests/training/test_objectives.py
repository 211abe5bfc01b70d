"""Objectives: made-up leaks at their level, targets that are absent, and which weights have a part in a loss."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cse.building import instantiate
from cse.errors import ConfigError
from cse.history import Turn
from cse.models.target_extractor import TargetExtractor
from cse.testing.corpus import speech_like
from cse.training.losses import level_db
from cse.training.objectives.cues import encode_cues
from cse.training.objectives.extraction import Extraction
from cse.training.objectives.listening import Listening
from cse.training.objectives.objective import Batch
from cse.training.objectives.selection import Selection

RATE = 8000
WIDTH = 32  # of the tiny BERT
SHOPPING = [Turn("what shall we buy", "Ana"), Turn("bread and cheese", "Ben")]
TRAVEL = [Turn("where is the station", "Ana"), Turn("behind the bridge", "Ben")]
LISTENER = {"cue_width": WIDTH, "sample_rate": RATE, "hidden": 8, "embedding_size": 6}
WORDS = {"_target_": "cse.models.listeners.words.WordListener", **LISTENER}
SELECTORS: dict[str, dict[str, Any]] = {
    "first": {"_target_": "cse.models.selectors.first.FirstVoice"},
    "fixed_slot": {
        "_target_": "cse.models.selectors.fixed_slot.FixedSlotSelector", "width": 8, "talkers": 2, "outputs": 1,
    },
    "listening": {"_target_": "cse.models.selectors.listening.ListeningSelector", "listener": WORDS},
    "trusting": {
        "_target_": "cse.models.selectors.trusting.TrustingSelector",
        "listener": WORDS,
        "voice_listener": {"_target_": "cse.models.listeners.voice.VoiceListener", **LISTENER},
    },
}  # fmt: skip
MODELS = {"contsep": "ContSep", "cont_ext": "ContExt", "h_cont_ext": "HContExt"}
CONV_TASNET = {
    "_target_": "cse.models.backbones.conv_tasnet.ConvTasNet",
    "bottleneck": 16, "hidden": 24, "blocks": 3, "repeats": 2,
    "fusion": {"_target_": "cse.models.fusion.film.FiLM", "_partial_": True},
}  # fmt: skip
SEPFORMER = {
    "_target_": "cse.models.backbones.sepformer.SepFormer",
    "width": 8, "layers": 1, "repeats": 1, "heads": 2, "feed_forward": 16, "chunk_size": 20,
    "fusion": {"_target_": "cse.models.fusion.prompt.Prompt", "_partial_": True},
}  # fmt: skip


def build(model: str, selector: str, bert: Path) -> TargetExtractor:
    backbone = SEPFORMER if selector == "fixed_slot" else CONV_TASNET
    config: dict[str, Any] = {
        "_target_": f"cse.models.{model}.{MODELS[model]}",
        "sample_rate": RATE,
        "filterbank": {"_target_": "cse.models.filterbanks.STFTFilterbank", "channels": 66, "hop_size": 16},
        "backbone": {**backbone, "channels": 66, "talkers": 2, "cue_width": WIDTH},
        "text_cue": {
            "_target_": "cse.models.cues.text.TextCue",
            "encoder": {
                "_target_": "cse.encoders.text.TextEncoder", "source": str(bert), "width": WIDTH, "max_tokens": 64,
            },
            "pooling": {"_target_": "cse.models.cues.pooling.mean.Mean", "max_turns": 4},
        },
        "selector": SELECTORS[selector],
    }  # fmt: skip
    if model == "h_cont_ext":
        config["speaker_cue"] = {
            "_target_": "cse.models.cues.speaker.SpeakerCue",
            "embedding_size": 6,
            "width": WIDTH,
            "encoder": {
                "_target_": "cse.models.cues.joint_speaker.JointSpeakerEncoder",
                "sample_rate": RATE, "embedding_size": 6, "hidden": 8,
            },
        }  # fmt: skip
    torch.manual_seed(0)
    built = instantiate(config)
    assert isinstance(built, TargetExtractor)
    return built


def batch_of(*targets: int, seconds: float = 0.4) -> Batch:
    """Mixtures of two talkers; shopping is continued, travel is not."""
    talkers = torch.stack(
        [
            torch.stack(
                [
                    torch.from_numpy(speech_like(seconds, talker=talker, sample_rate=RATE, seed=item))
                    for talker in (0, 1)
                ]
            )
            for item in range(len(targets))
        ]
    )
    own = [SHOPPING if target >= 0 else TRAVEL for target in targets]
    return {
        "mixture": talkers.sum(1),
        "talkers": talkers,
        "target": torch.tensor(targets),
        "history": own,
        "next_speaker": ["Ana"] * len(targets),
        "histories": [[history if place == max(target, 0) else [] for place in (0, 1)]
                      for history, target in zip(own, targets, strict=True)],
        "enrollment": [torch.from_numpy(speech_like(0.3, talker=0, sample_rate=RATE, seed=99))] * len(targets),
    }  # fmt: skip


def leaks_db(objective: Listening, batch: Batch) -> Tensor:
    """Level of what was added to each talker, against that talker, (B, S)."""
    talkers = batch["talkers"]
    leak = objective._leaky(batch) - talkers
    return 10 * (leak.square().mean(-1) / talkers.square().mean(-1)).log10()


@pytest.mark.parametrize("talkers", [2, 3])
@pytest.mark.parametrize("level", [-30.0, -12.0, 0.0])
def test_a_leak_has_the_level_that_was_asked_for(talkers, level):
    torch.manual_seed(0)
    loudness = torch.logspace(-2, 0, talkers).view(1, -1, 1)
    batch = {"talkers": loudness * torch.randn(4, talkers, RATE)}
    for objective in (Listening(leak_db=(level, level)).train(), Listening(leak_db=(level, level)).eval()):
        assert (leaks_db(objective, batch) - level).abs().max() < 0.1


def test_a_leak_is_of_the_others_and_of_nobody_where_all_others_are_silent():
    batch = {"talkers": torch.stack([torch.randn(1, RATE), torch.zeros(1, RATE)], dim=1)}
    voices = Listening(leak_db=(-6.0, -6.0))._leaky(batch)
    assert torch.equal(voices[0, 0], batch["talkers"][0, 0])
    assert torch.isfinite(voices).all()
    one, other = torch.sin(torch.arange(RATE) * 0.1), torch.sin(torch.arange(RATE) * 0.37)
    mixed = Listening(leak_db=(-6.0, -6.0))._leaky({"talkers": torch.stack([one, other])[None]})[0, 0]
    assert torch.allclose(mixed, one + 10 ** (-6 / 20) * other, atol=2e-3)


def test_leaks_rise_from_clear_speech_over_the_whole_range():
    torch.manual_seed(0)
    batch = {"talkers": torch.randn(64, 2, 800)}
    objective = Listening(leak_db=(-30.0, -10.0), ramp_steps=100).train()
    for steps, loudest in ((0, -30.0), (50, -20.0), (100, -10.0), (1000, -10.0)):
        objective.steps.fill_(steps)
        found = leaks_db(objective, batch)
        assert -30.1 < found.min() < -30 + 0.1 * (loudest + 30) + 0.1
        assert loudest - 0.1 * (loudest + 30) - 0.1 < found.max() < loudest + 0.1
    assert torch.allclose(leaks_db(objective.eval(), batch), torch.tensor(-15.0), atol=0.1)
    objective.steps.fill_(0)  # what is measured does not depend on how far the training is
    assert torch.allclose(leaks_db(objective, batch), torch.tensor(-15.0), atol=0.1)


COMBINATIONS = [
    ("contsep", "listening", Selection),
    ("contsep", "fixed_slot", Selection),
    ("cont_ext", "first", Extraction),
    ("cont_ext", "listening", Extraction),
    ("h_cont_ext", "trusting", Extraction),
    ("contsep", "listening", Listening),
    ("h_cont_ext", "trusting", Listening),
]
every_objective = pytest.mark.parametrize(("model", "selector", "kind"), COMBINATIONS)


@every_objective
@pytest.mark.parametrize("targets", [(-1, -1), (0, -1), (-1, 1, 0)])
def test_a_loss_without_target_is_finite_and_so_is_its_gradient(model, selector, kind, targets, tiny_bert):
    built, objective = build(model, selector, tiny_bert).train(), kind().train()
    terms = objective.loss(built, batch_of(*targets))
    loss = torch.stack(list(terms.values())).sum()
    assert torch.isfinite(loss)
    if loss.requires_grad:
        loss.backward()
    for name, parameter in built.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    results = objective.eval().measure(built.eval(), batch_of(*targets))
    assert set(results) == set(kind.results)
    for values in results.values():  # an item without target has no result, and no item with one lacks it
        assert values.isnan().tolist() == [target < 0 for target in targets]


@every_objective
def test_an_objective_says_whether_it_uses_the_whole_model(model, selector, kind, tiny_bert):
    built, objective = build(model, selector, tiny_bert).train(), kind()
    torch.stack(list(objective.loss(built, batch_of(0, 1)).values())).sum().backward()
    unused = [name for name, parameter in built.named_parameters() if parameter.grad is None]
    assert (not unused) is objective.uses_whole_model, unused


def test_listening_wants_a_selector_that_listens(tiny_bert):
    with pytest.raises(ConfigError, match="selector=listening"):
        Listening().loss(build("cont_ext", "first", tiny_bert), batch_of(0, 1))


@pytest.mark.parametrize("selector", ["first", "listening"])
def test_silence_is_learned_for_the_history_that_nobody_continues(selector, tiny_bert):
    built, objective = build("cont_ext", selector, tiny_bert).train(), Extraction()
    batch = batch_of(0, -1, 0, -1)
    absent = batch["target"] < 0
    before = levels_db(built, batch)
    optimizer = torch.optim.Adam(built.parameters(), lr=0.01)
    first = math.nan
    for step in range(60):
        loss = torch.stack(list(objective.loss(built, batch).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(built.parameters(), 5.0)
        optimizer.step()
        first = loss.item() if step == 0 else first
    after = levels_db(built, batch)
    assert loss.item() < first - 3
    assert (after - before)[absent].max() < -6
    assert after[~absent].min() > after[absent].max() + 6


def levels_db(model: TargetExtractor, batch: Batch) -> Tensor:
    """Of what comes out, against the mixture."""
    with torch.no_grad():
        return level_db(
            model(batch["mixture"], **encode_cues(model, batch)).waveforms[:, 0], batch["mixture"]
        )
