"""Objectives: made-up separations, targets that are absent, and which weights have a part in a loss."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cse.checkpoint import instantiate
from cse.errors import ConfigError
from cse.history import Turn
from cse.models.target_extractor import TargetExtractor
from cse.testing.corpus import speech_like
from cse.training.losses import level_db, neg_si_snr
from cse.training.objectives.cues import encode_cues
from cse.training.objectives.extraction import Extraction
from cse.training.objectives.imperfect_separation import imperfectly_separated
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


def si_sdr_db(estimates: Tensor, talkers: Tensor) -> Tensor:
    return -neg_si_snr(estimates.flatten(0, 1), talkers.flatten(0, 1)).unflatten(0, talkers.shape[:2])


def voices_of(mixtures: int, talkers: int) -> Tensor:
    """(B, S, T), a second long."""
    spoken = [
        speech_like(1.0, talker=talker, sample_rate=16000, seed=mixture)
        for mixture in range(mixtures)
        for talker in range(talkers)
    ]
    return torch.stack([torch.from_numpy(voice) for voice in spoken]).unflatten(0, (mixtures, talkers))


@pytest.mark.parametrize("talkers", [2, 3])
def test_a_made_up_separation_is_as_bad_as_its_error_and_never_worse_than_none(talkers):
    torch.manual_seed(0)
    voices = voices_of(4, talkers)
    mixture = voices.sum(1, keepdim=True).expand_as(voices)
    found = [
        si_sdr_db(imperfectly_separated(voices, torch.full((4,), error_db)), voices).mean()
        for error_db in (0.0, 6.0, 12.0, 24.0)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1] + 3
    assert found[1] > si_sdr_db(mixture, voices).mean()


def test_a_made_up_separation_is_worse_for_a_while():
    torch.manual_seed(0)
    voices = voices_of(4, 2)
    error = imperfectly_separated(voices, torch.full((4,), 12.0)) - voices
    by_tenth = error.unflatten(-1, (10, -1)).square().mean(-1)
    assert (10 * (by_tenth.amax(-1) / by_tenth.amin(-1)).log10()).mean() > 5


def test_a_made_up_separation_of_silence_is_finite():
    voices = torch.stack([torch.randn(1, 8000), torch.zeros(1, 8000)], dim=1)
    estimates = imperfectly_separated(voices, torch.tensor([6.0]))
    assert torch.isfinite(estimates).all()
    assert si_sdr_db(estimates, voices)[0, 0] > 20


def test_words_are_learned_from_clear_speech_first():
    torch.manual_seed(0)
    batch = {"talkers": voices_of(8, 2)}
    objective = Listening(ramp_steps=100).train()
    rising = []
    for steps in (0, 50, 100, 1000):
        objective.steps.fill_(steps)
        torch.manual_seed(0)
        rising.append((objective._separated(batch) - batch["talkers"]).square().mean().item())
    assert rising[0] == 0
    assert rising[0] < rising[1] < rising[2]
    assert rising[3] == rising[2]


def test_in_evaluation_the_made_up_separation_is_always_the_same():
    batch, objective = {"talkers": voices_of(2, 2)}, Listening(ramp_steps=100).eval()
    assert torch.equal(objective._separated(batch), objective._separated(batch))


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
