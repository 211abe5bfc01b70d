"""What every model under cues keeps: model × backbone × fusion × talkers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cse.building import instantiate
from cse.checkpoint import load_checkpoint, load_state, save_checkpoint
from cse.errors import CheckpointError, MissingCueError
from cse.models.cues.cue import Cue
from cse.models.target_extractor import TargetExtractor, Voices

SAMPLE_RATE = 8000
WIDTH, TURNS = 6, 3  # D and K of the text cue
BACKBONES: dict[str, dict[str, Any]] = {
    "conv_tasnet": {
        "_target_": "cse.models.backbones.conv_tasnet.ConvTasNet",
        "bottleneck": 8, "hidden": 12, "blocks": 2, "repeats": 2,
    },
    "causal_conv_tasnet": {
        "_target_": "cse.models.backbones.causal_conv_tasnet.CausalConvTasNet",
        "bottleneck": 8, "hidden": 12, "blocks": 2, "repeats": 2,
    },
    "sepformer": {
        "_target_": "cse.models.backbones.sepformer.SepFormer",
        "width": 8, "layers": 1, "repeats": 2, "heads": 2, "feed_forward": 16, "chunk_size": 20,
    },
    "band_split_rnn": {
        "_target_": "cse.models.backbones.band_split_rnn.BandSplitRNN",
        "band_widths": [3, 4, 10], "width": 8, "hidden": 8, "repeats": 2,
    },
}  # fmt: skip
FUSIONS = {
    "film": "cse.models.fusion.film.FiLM",
    "cross_attention": "cse.models.fusion.cross_attention.CrossAttention",
    "prompt": "cse.models.fusion.prompt.Prompt",
}
MODELS = {
    "contsep": "cse.models.contsep.ContSep",
    "cont_ext": "cse.models.cont_ext.ContExt",
    "h_cont_ext": "cse.models.h_cont_ext.HContExt",
}
COMBINATIONS = [
    (model, backbone, fusion, talkers)
    for model in MODELS
    for backbone in BACKBONES
    for fusion in FUSIONS
    for talkers in (2, 3)
    if fusion != "prompt" or backbone == "sepformer"
]
every_model = pytest.mark.parametrize(("model", "backbone", "fusion", "talkers"), COMBINATIONS)
every_kind = pytest.mark.parametrize("model", MODELS)


def listener(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "_target_": kind,
        "cue_width": WIDTH,
        "sample_rate": SAMPLE_RATE,
        "embedding_size": 5,
        "hidden": 8,
        **more,
    }


def config_of(model: str, backbone: str, fusion: str, talkers: int) -> dict[str, Any]:
    words = listener("cse.models.listeners.words.WordListener", dropout=0.0)
    config: dict[str, Any] = {
        "_target_": MODELS[model],
        "sample_rate": SAMPLE_RATE,
        "filterbank": {"_target_": "cse.models.filterbanks.STFTFilterbank", "channels": 34, "hop_size": 8},
        "backbone": {
            **BACKBONES[backbone],
            "channels": 34,
            "talkers": talkers,
            "fusion": {"_target_": FUSIONS[fusion], "_partial_": True},
            "cue_width": WIDTH,
        },
        "text_cue": {
            "_target_": "cse.models.cues.text.TextCue",
            "encoder": {
                "_target_": "cse.encoders.text.TextEncoder",
                "source": "never loaded", "width": WIDTH, "max_tokens": 8,
            },
            "pooling": {"_target_": "cse.models.cues.pooling.turns.Turns", "max_turns": TURNS, "width": WIDTH},
        },
        "selector": {"_target_": "cse.models.selectors.listening.ListeningSelector", "listener": words},
    }  # fmt: skip
    if model == "h_cont_ext":
        config["speaker_cue"] = {
            "_target_": "cse.models.cues.speaker.SpeakerCue",
            "embedding_size": 4,
            "width": WIDTH,
            "encoder": {
                "_target_": "cse.models.cues.joint_speaker.JointSpeakerEncoder",
                "sample_rate": SAMPLE_RATE, "embedding_size": 4, "hidden": 8,
            },
        }  # fmt: skip
        config["selector"] = {
            "_target_": "cse.models.selectors.trusting.TrustingSelector",
            "listener": words,
            "voice_listener": listener("cse.models.listeners.voice.VoiceListener"),
        }
    return config


def build(
    model: str, backbone: str = "conv_tasnet", fusion: str = "film", talkers: int = 2
) -> TargetExtractor:
    torch.manual_seed(0)
    built = instantiate(config_of(model, backbone, fusion, talkers))
    assert isinstance(built, TargetExtractor)
    return built.eval()


def cues_of(model: TargetExtractor, batch: int, **more: Any) -> dict[str, Cue]:
    tokens = {"text": TURNS, "speaker": 1} if model.speaker_cue is not None else {"text": TURNS}
    return {name: Cue.of(torch.randn(batch, count, WIDTH, **more)) for name, count in tokens.items()}


@every_model
def test_estimates_have_the_mixture_s_length_and_a_logit_each_and_one_for_nobody(
    model, backbone, fusion, talkers
):
    built = build(model, backbone, fusion, talkers)
    voices = talkers if model == "contsep" else 1
    for samples in (1600, 1601, 997):
        result = built(torch.randn(2, samples), **cues_of(built, 2))
        assert result.waveforms.shape == (2, voices, samples)
        assert result.logits.shape == (2, voices + 1)
        assert torch.isfinite(result.waveforms).all()
        assert torch.isfinite(result.logits).all()


@every_model
def test_a_gradient_reaches_every_cue_and_every_parameter(model, backbone, fusion, talkers):
    built = build(model, backbone, fusion, talkers).train()
    cues = cues_of(built, 2, requires_grad=True)
    result = built(torch.randn(2, 1600), **cues)
    loss = (result.waveforms * torch.randn_like(result.waveforms)).sum() + result.logits[:, 0].sum()
    tokens = [cue.tokens for cue in cues.values()]
    for name, gradient in zip(cues, torch.autograd.grad(loss, tokens, retain_graph=True), strict=True):
        assert gradient.abs().amax(-1).min() > 0, name
    loss.backward()
    without = [
        name
        for name, parameter in built.named_parameters()
        # those of the cue encoders and "no cue" tokens have no part in this call
        if not name.startswith(("text_cue.", "speaker_cue.")) and "no_cue" not in name
        and (parameter.grad is None or not parameter.grad.abs().max() > 0)
    ]  # fmt: skip
    assert without == []


@every_model
def test_the_cue_changes_the_masks(model, backbone, fusion, talkers):
    built = build(model, backbone, fusion, talkers)
    mixture = torch.randn(1, 1600)
    with torch.inference_mode():
        first, second = (built.separate(mixture, **cues_of(built, 1)).waveforms for _ in range(2))
    assert (first - second).abs().max() > 1e-5 * first.abs().max()


@every_model
def test_an_item_depends_on_neither_its_batch_nor_on_what_is_masked(model, backbone, fusion, talkers):
    built = build(model, backbone, fusion, talkers)
    mixtures = torch.randn(3, 1601)
    cues = cues_of(built, 3)
    there = torch.tensor([[True] * TURNS, [False, False, True], [False] * TURNS])
    cues["text"] = Cue.of(cues["text"].tokens, there)
    together = built(mixtures, **cues)
    assert torch.isfinite(together.waveforms).all()
    for item in range(3):
        one = {
            name: Cue(cue.tokens[item : item + 1], cue.mask[item : item + 1]) for name, cue in cues.items()
        }
        alone = built(mixtures[item : item + 1], **one)
        assert torch.allclose(together.waveforms[item], alone.waveforms[0], atol=1e-5)
        assert torch.allclose(together.logits[item], alone.logits[0], atol=1e-4)


@every_model
def test_what_is_saved_is_what_is_loaded(model, backbone, fusion, talkers, tmp_path):
    built = build(model, backbone, fusion, talkers)
    config = {"name": "tiny", "model": config_of(model, backbone, fusion, talkers)}
    save_checkpoint(tmp_path / "model", config, built.state_dict(), "# tiny")
    checkpoint = load_checkpoint(tmp_path / "model")
    loaded = instantiate(checkpoint.config["model"])
    load_state(loaded, checkpoint.state)
    mixture, cues = torch.randn(1, 1600), cues_of(built, 1)
    assert torch.equal(loaded.eval()(mixture, **cues).waveforms, built(mixture, **cues).waveforms)


@every_kind
@pytest.mark.parametrize("talkers", [2, 3])
def test_the_choice_follows_the_voices_wherever_they_are_put(model, talkers):
    built = build(model, talkers=talkers)
    voices, cues = torch.randn(2, talkers, 4000), cues_of(built, 2)
    order = torch.randperm(talkers)
    logits = built.judge(Voices(voices), **cues).logits
    moved = built.judge(Voices(voices[:, order]), **cues).logits
    assert logits[:, :-1].std() > 0
    assert torch.allclose(moved[:, :-1], logits[:, :-1][:, order], atol=1e-4)
    assert torch.allclose(moved[:, -1], logits[:, -1], atol=1e-4)


@every_kind
def test_the_choice_does_not_depend_on_the_level_of_the_voices(model):
    built = build(model)
    voices, cues = torch.randn(2, 2, 4000), cues_of(built, 2)
    louder = voices * torch.tensor([0.01, 10.0]).view(1, 2, 1)
    expected = built.judge(Voices(voices), **cues).logits
    assert torch.allclose(built.judge(Voices(louder), **cues).logits, expected, atol=1e-3)


@pytest.mark.parametrize("model", ["cont_ext", "h_cont_ext"])
def test_an_extractor_that_is_sure_of_nobody_is_silent(model):
    built = build(model)
    voices, cues = Voices(torch.randn(1, 2, 4000)), cues_of(built, 1)
    judgement = built.judge(voices, **cues)
    judgement.logits[:, -1] = 50.0
    nobody = built.combine(voices, judgement)
    assert nobody.waveforms.abs().max() < 1e-6
    assert nobody.logits.softmax(1)[0, -1] > 0.999
    judgement.logits[:] = torch.tensor([[50.0, 0.0, 0.0]])
    assert torch.allclose(built.combine(voices, judgement).waveforms[0, 0], voices.waveforms[0, 0])


@pytest.mark.parametrize("model", ["cont_ext", "h_cont_ext"])
def test_the_published_extractors_are_always_sure_of_their_first_mask(model):
    config = config_of(model, "conv_tasnet", "film", 2)
    built = instantiate({**config, "selector": {"_target_": "cse.models.selectors.first.FirstVoice"}}).eval()
    result = built(torch.randn(2, 1600), **cues_of(built, 2))
    assert result.waveforms.shape == (2, 1, 1600)
    assert result.logits.softmax(1).tolist() == [[1.0, 0.0]] * 2


@pytest.mark.parametrize("missing", ["text", "speaker"])
def test_the_hybrid_does_with_either_cue(missing):
    built = build("h_cont_ext")
    cues = cues_of(built, 2)
    del cues[missing]
    result = built(torch.randn(2, 1600), **cues)
    assert torch.isfinite(result.waveforms).all()
    assert torch.isfinite(result.logits).all()


@every_kind
def test_without_any_cue_there_is_an_error(model):
    with pytest.raises(MissingCueError, match="expected"):
        build(model)(torch.randn(1, 1600))


@every_kind
def test_a_cue_of_another_width_is_an_error_with_both_numbers(model):
    with pytest.raises(MissingCueError, match=f"width 7, expected {WIDTH}"):
        build(model)(torch.randn(1, 1600), text=Cue.of(torch.randn(1, TURNS, 7)))


def test_parts_that_do_not_fit_together_are_errors_that_say_what_to_set():
    config = config_of("contsep", "conv_tasnet", "film", 2)
    with pytest.raises(CheckpointError, match="tokens of width 6, the backbone takes 5"):
        instantiate({**config, "backbone": {**config["backbone"], "cue_width": 5}})
    with pytest.raises(CheckpointError, match="66 channels, the backbone 34"):
        instantiate({**config, "filterbank": {**config["filterbank"], "channels": 66}})
    with pytest.raises(CheckpointError, match="both or neither"):
        instantiate({**config, "backbone": {**config["backbone"], "cue_width": None}})
    prompt = {"_target_": FUSIONS["prompt"], "_partial_": True}
    with pytest.raises(CheckpointError, match="no sequences that Prompt could enter"):
        instantiate({**config, "backbone": {**config["backbone"], "fusion": prompt}})
    hybrid = config_of("h_cont_ext", "conv_tasnet", "film", 2)
    with pytest.raises(CheckpointError, match="width"):
        instantiate({**hybrid, "speaker_cue": {**hybrid["speaker_cue"], "width": 5}})
