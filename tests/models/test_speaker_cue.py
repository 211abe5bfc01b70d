"""The speaker cue: any enrollment becomes one token, and only what is trained is saved."""

from __future__ import annotations

import copy
import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from cse.building import instantiate
from cse.encoders.ecapa import EcapaEncoder
from cse.encoders.ge2e import ResemblyzerEncoder
from cse.errors import CheckpointError, InvalidAudioError, MissingExtraError
from cse.models.cues.frozen_speaker import FrozenSpeakerEncoder
from cse.models.cues.joint_speaker import JointSpeakerEncoder
from cse.models.cues.speaker import SpeakerCue
from cse.testing.corpus import speech_like

SAMPLE_RATE = 8000
WIDTH = 12


class Loudness:
    """A frozen voice encoder that is known exactly: level and length; counts how often it is asked."""

    name = "loudness"
    built = 0

    def __init__(self) -> None:
        type(self).built += 1
        self.asked = 0

    def embed(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        self.asked += 1
        return np.array([np.abs(waveform).max(), len(waveform) / sample_rate], np.float32)


def joint_cue() -> SpeakerCue:
    torch.manual_seed(0)
    encoder = JointSpeakerEncoder(sample_rate=SAMPLE_RATE, embedding_size=16, hidden=24)
    return SpeakerCue(encoder=encoder, embedding_size=16, width=WIDTH)


def loudness_cue(**options) -> SpeakerCue:
    torch.manual_seed(0)
    encoder = FrozenSpeakerEncoder(voice=Loudness, sample_rate=SAMPLE_RATE)
    return SpeakerCue(encoder=encoder, embedding_size=2, width=WIDTH, **options)


@pytest.fixture(scope="module")
def tiny_ecapa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random ECAPA-TDNN with embeddings of 12 numbers."""
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    folder = tmp_path_factory.mktemp("ecapa")
    torch.manual_seed(0)
    network = ECAPA_TDNN(
        24,
        lin_neurons=12,
        channels=[16, 16, 16, 16, 48],
        attention_channels=8,
        res2net_scale=4,
        se_channels=6,
    )
    torch.save(network.state_dict(), folder / "embedding_model.ckpt")
    return folder


def cues(tiny_ecapa: Path) -> dict[str, SpeakerCue]:
    frozen = FrozenSpeakerEncoder(voice=lambda: EcapaEncoder(tiny_ecapa), sample_rate=SAMPLE_RATE)
    found = {
        "joint": joint_cue(),
        "ecapa": SpeakerCue(encoder=frozen, embedding_size=12, width=WIDTH),
    }
    if importlib.util.find_spec("resemblyzer") is not None:
        frozen = FrozenSpeakerEncoder(voice=ResemblyzerEncoder, sample_rate=SAMPLE_RATE)
        found["resemblyzer"] = SpeakerCue(encoder=frozen, embedding_size=256, width=WIDTH)
    return found


def enrollment(duration_s: float, talker: int = 0) -> torch.Tensor:
    return torch.from_numpy(speech_like(duration_s, talker=talker, sample_rate=SAMPLE_RATE))


def test_every_encoder_takes_any_length_alone_or_in_a_batch(tiny_ecapa: Path) -> None:
    waveforms = [enrollment(duration_s) for duration_s in (0.1, 1.03, 5.0, 30.0)]
    for name, cue in cues(tiny_ecapa).items():
        with torch.no_grad():
            together = cue([*waveforms, None])
            alone = [cue([waveform]) for waveform in waveforms]
        assert together.tokens.shape == (5, 1, WIDTH), name
        assert together.mask.flatten().tolist() == [True] * 4 + [False], name
        assert torch.isfinite(together.tokens).all(), name
        for one, token in zip(alone, together.tokens, strict=False):
            assert torch.allclose(one.tokens[0], token, atol=1e-5), name
        assert not torch.allclose(together.tokens[0], together.tokens[3], atol=1e-3), name


def test_a_level_is_no_voice(tiny_ecapa: Path) -> None:
    voice = enrollment(2.0)
    for name, cue in cues(tiny_ecapa).items():
        with torch.no_grad():
            loud, quiet = cue([0.1 * voice, 0.02 * voice]).tokens
        assert torch.allclose(loud, quiet, atol=0.02 * float(loud.abs().max())), name


def test_silence_is_a_missing_enrollment_like_none() -> None:
    for cue in (joint_cue(), loudness_cue()):
        result = cue([torch.zeros(4000), None, torch.zeros(0), enrollment(0.5)])
        assert result.mask.flatten().tolist() == [False, False, False, True]
        assert not result.tokens[:3].any()
        assert not cue([None, None]).present.any()


def test_a_missing_enrollment_may_be_an_embedding_of_zeros() -> None:
    cue = loudness_cue(missing_is_zero_embedding=True)
    result = cue([None, enrollment(0.5)])
    assert result.mask.all()
    assert torch.equal(result.tokens[0, 0], cue.projection.bias)


def test_known_embeddings_make_the_same_cue() -> None:
    cue = loudness_cue()
    waveform = enrollment(0.5)
    expected = cue([waveform, None])
    known = torch.tensor([[float(waveform.abs().max()), 0.5], [0.0, 0.0]])
    found = cue.of_embeddings(known, torch.tensor([True, False]))
    assert torch.allclose(found.tokens, expected.tokens) and torch.equal(found.mask, expected.mask)
    assert cue.of_embeddings(known).mask.all()


def test_gradient_reaches_every_weight_of_the_joint_encoder() -> None:
    cue = joint_cue()
    cue([enrollment(0.6), None, enrollment(0.3, talker=1)]).tokens.square().sum().backward()
    for name, parameter in cue.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_batch_without_enrollments_has_gradients_too_all_of_them_zero() -> None:
    """Otherwise processes that train together would disagree about which weights have one."""
    cue = joint_cue()
    cue([None, torch.zeros(100)]).tokens.sum().backward()
    for name, parameter in cue.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), name


def test_the_joint_encoder_learns_voices() -> None:
    cue = joint_cue()
    classify = torch.nn.Linear(WIDTH, 3)
    optimizer = torch.optim.Adam([*cue.parameters(), *classify.parameters()], lr=3e-3)
    talkers = torch.arange(3).repeat(4)

    def sentences(start: int) -> list[torch.Tensor]:
        return [
            torch.from_numpy(
                speech_like(0.6, talker=int(talker), sample_rate=SAMPLE_RATE, seed=start + number)
            )
            for number, talker in enumerate(talkers)
        ]

    for step in range(25):
        logits = classify(cue(sentences(100 * (step % 5))).tokens[:, 0])
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, talkers).backward()
        optimizer.step()
    unseen = classify(cue(sentences(9000)).tokens[:, 0]).argmax(-1)
    assert (unseen == talkers).float().mean() > 0.8


def test_only_what_is_trained_is_saved(tiny_ecapa: Path) -> None:
    for name, cue in cues(tiny_ecapa).items():
        cue([enrollment(0.5)])
        saved = set(cue.state_dict())
        assert {"projection.weight", "projection.bias"} <= saved
        if name != "joint":
            assert len(saved) == 2, name
            assert sum(parameter.numel() for parameter in cue.parameters()) == sum(
                tensor.numel() for tensor in cue.state_dict().values()
            )
        assert sum(parameter.numel() for parameter in cue.parameters()) < 500_000


def test_a_frozen_encoder_is_built_by_its_first_enrollment_and_asked_once_for_each() -> None:
    Loudness.built = 0
    cue = loudness_cue()
    cue([None])
    assert Loudness.built == 0
    one, other = enrollment(0.5), enrollment(0.5, talker=1)
    for _ in range(3):
        cue([one, other, one.clone()])
    assert Loudness.built == 1
    assert cue.encoder._voice.asked == 2  # type: ignore[attr-defined]
    assert not cue([one]).tokens.isnan().any()


def test_a_small_cache_forgets_what_was_used_longest_ago() -> None:
    encoder = FrozenSpeakerEncoder(voice=Loudness, sample_rate=SAMPLE_RATE, cache_size=2)
    first, second, third = (torch.full((800,), level) for level in (0.1, 0.2, 0.3))
    for waveform in (first, second, first, third, first, second):
        encoder([waveform])
    assert encoder._voice.asked == 4  # type: ignore[union-attr]


def test_models_with_a_frozen_encoder_can_be_copied_and_sent_to_other_processes() -> None:
    cue = loudness_cue()
    expected = cue([enrollment(0.5)]).tokens
    for other in (copy.deepcopy(cue), pickle.loads(pickle.dumps(cue))):
        assert torch.equal(other([enrollment(0.5)]).tokens, expected)


def test_a_missing_package_or_folder_is_named_when_the_first_enrollment_comes(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    frozen = FrozenSpeakerEncoder(voice=ResemblyzerEncoder, sample_rate=SAMPLE_RATE)
    cue = SpeakerCue(encoder=frozen, embedding_size=256, width=WIDTH)
    with pytest.raises(MissingExtraError, match="Resemblyzer"):
        cue([enrollment(0.5)])
    frozen = FrozenSpeakerEncoder(voice=lambda: EcapaEncoder(tmp_path / "nowhere"), sample_rate=SAMPLE_RATE)
    cue = SpeakerCue(encoder=frozen, embedding_size=192, width=WIDTH)
    with pytest.raises(CheckpointError, match="nowhere: no such folder"):
        cue([enrollment(0.5)])


def test_embeddings_of_another_size_are_refused() -> None:
    frozen = FrozenSpeakerEncoder(voice=Loudness, sample_rate=SAMPLE_RATE)
    cue = SpeakerCue(encoder=frozen, embedding_size=192, width=WIDTH)
    with pytest.raises(
        CheckpointError, match=r"embeddings of 2 numbers .* expected 192; set `embedding_size`"
    ):
        cue([enrollment(0.5)])


def test_two_channels_are_refused() -> None:
    with pytest.raises(InvalidAudioError, match=r"shape \(2, 4000\), expected one waveform"):
        joint_cue()([torch.randn(2, 4000)])


@pytest.mark.parametrize("name", ["joint", "resemblyzer", "ecapa"])
def test_every_config_builds_without_loading_or_downloading_anything(repository: Path, name: str) -> None:
    from omegaconf import OmegaConf

    node = OmegaConf.load(repository / "configs" / "speaker_cue" / f"{name}.yaml")
    node.width = 32  # in a whole config that of the text cue
    config = OmegaConf.create({"sample_rate": 16000, "speaker_cue": node})
    cue = instantiate(OmegaConf.to_container(config, resolve=True)["speaker_cue"])  # type: ignore[index, call-overload]
    assert (cue.width, cue.sample_rate) == (32, 16000)
    assert cue.projection.weight.shape == (32, cue.embedding_size)
