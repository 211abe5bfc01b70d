from __future__ import annotations

import importlib.util
import os
import pickle
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cse.audio import load_waveform
from cse.encoders import ge2e
from cse.encoders.ecapa import EcapaEncoder, build_ecapa
from cse.encoders.ge2e import ResemblyzerEncoder
from cse.encoders.sources import package_folder
from cse.encoders.voice import SpeakerEmbedding, VoiceEncoder, loud_windows, speech_duration_s, unit
from cse.errors import CheckpointError, ConfigError, MissingExtraError

needs_resemblyzer = pytest.mark.skipif(
    importlib.util.find_spec("resemblyzer") is None, reason="the extra [offline] is not installed"
)


def tone(rng: np.random.Generator, pitch_hz: float, seconds: float = 2.0) -> np.ndarray:
    """A buzz with harmonics that fall off: no speech, but spectrally like a voice of that pitch."""
    time = np.arange(int(16000 * seconds)) / 16000
    harmonics = [np.sin(2 * np.pi * pitch_hz * order * time) / order for order in range(1, 20)]
    return (0.1 * sum(harmonics) + 0.001 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def resemblyzer() -> ResemblyzerEncoder:
    return ResemblyzerEncoder()


@pytest.fixture(scope="module")
def tiny_ecapa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random ECAPA-TDNN with four blocks, saved as SpeechBrain publishes its own."""
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    folder = tmp_path_factory.mktemp("ecapa")
    torch.manual_seed(0)
    network = ECAPA_TDNN(
        24,
        lin_neurons=12,
        channels=[16, 16, 16, 16, 48],
        kernel_sizes=[5, 3, 3, 3, 1],
        dilations=[1, 2, 3, 4, 1],
        attention_channels=8,
        res2net_scale=4,
        se_channels=6,
    )
    torch.save(network.state_dict(), folder / "embedding_model.ckpt")
    return folder


def check_contract(encoder: VoiceEncoder, voice: np.ndarray) -> None:
    embedding = encoder.embed(voice, 16000)
    assert embedding.dtype == np.float32 and embedding.ndim == 1
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    assert not encoder.embed(np.zeros(8000, np.float32), 16000).any()
    assert not encoder.embed(np.zeros(0, np.float32), 16000).any()
    assert encoder.embed(voice[:800], 16000).shape == embedding.shape, "shorter than a window"
    np.testing.assert_array_equal(encoder.embed(voice, 16000), embedding)


def test_windows_far_below_the_loudest_do_not_count() -> None:
    assert loud_windows(np.array([1.0, 0.11, 0.09])).tolist() == [True, True, False]
    assert loud_windows(np.array([1e-9])).tolist() == [True]


def test_unit_keeps_zeros() -> None:
    assert unit(np.array([3.0, 4.0])).tolist() == pytest.approx([0.6, 0.8])
    assert unit(np.zeros(2)).tolist() == [0.0, 0.0]


@needs_resemblyzer
def test_resemblyzer_contract(resemblyzer: ResemblyzerEncoder, rng: np.random.Generator) -> None:
    check_contract(resemblyzer, tone(rng, 120))


@needs_resemblyzer
def test_resemblyzer_does_not_care_about_the_level(
    resemblyzer: ResemblyzerEncoder, rng: np.random.Generator
) -> None:
    voice = tone(rng, 120)
    quiet = resemblyzer.embed(0.01 * voice, 16000)
    assert float(quiet @ resemblyzer.embed(0.1 * voice, 16000)) > 0.999


@needs_resemblyzer
def test_resemblyzer_ignores_the_residue_of_the_other_talker(
    resemblyzer: ResemblyzerEncoder, rng: np.random.Generator
) -> None:
    """A separated talker who falls silent leaves the other one's residue behind."""
    own, other = tone(rng, 110, 3.2), tone(rng, 260, 6.4)
    clean = resemblyzer.embed(own, 16000)
    assert float(resemblyzer.embed(other, 16000) @ clean) < 0.9
    assert float(resemblyzer.embed(np.concatenate([own, 0.05 * other]), 16000) @ clean) > 0.97


@needs_resemblyzer
def test_resemblyzer_is_the_network_of_its_package(
    resemblyzer: ResemblyzerEncoder, rng: np.random.Generator
) -> None:
    """Golden: the package's own code on the same audio, without its voice activity detection."""
    voice = np.concatenate([tone(rng, 120), tone(rng, 150)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("resemblyzer", exc_type=ImportError)
    reference = package.VoiceEncoder("cpu", verbose=False).embed_utterance(
        package.normalize_volume(voice, -30, increase_only=True)
    )
    assert float(reference @ resemblyzer.embed(voice, 16000)) > 0.9999


def test_talkers_of_the_development_set_are_told_apart(
    resemblyzer: ResemblyzerEncoder, development_data: Path
) -> None:
    folders = sorted((development_data / "speech" / "librispeech").iterdir())
    folders = [folder for folder in folders if len(list(folder.iterdir())) >= 2][:6]
    pairs = [
        [load_waveform(path, 16000)[:64000] for path in sorted(folder.iterdir())[:2]] for folder in folders
    ]
    first, second = (np.stack([resemblyzer.embed(pair[side], 16000) for pair in pairs]) for side in (0, 1))
    similarity = first @ second.T
    assert (similarity.argmax(axis=1) == np.arange(len(folders))).mean() >= 5 / 6


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=r'Resemblyzer, which is not installed; type: pip install "cse\[offline\]"'
    ):
        ResemblyzerEncoder()


def test_a_package_is_found_without_running_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "explosive").mkdir()
    (tmp_path / "explosive" / "__init__.py").write_text("raise RuntimeError('ran')")
    monkeypatch.syspath_prepend(tmp_path)
    assert package_folder("explosive", feature="a test", package="explosive") == tmp_path / "explosive"
    assert "explosive" not in sys.modules


def test_damaged_weights_of_the_package_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pretrained.pt").write_bytes(b"PK\x03\x04 cut off")
    monkeypatch.setattr(ge2e, "package_folder", lambda *_, **__: tmp_path)
    with pytest.raises(CheckpointError, match=r"pretrained.pt: cannot load: .*install Resemblyzer again"):
        ResemblyzerEncoder()


def test_ecapa_contract(tiny_ecapa: Path, rng: np.random.Generator) -> None:
    check_contract(EcapaEncoder(tiny_ecapa), tone(rng, 120))


def test_ecapa_is_the_network_that_was_saved(tiny_ecapa: Path, rng: np.random.Generator) -> None:
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
    from speechbrain.processing.features import InputNormalization

    network = ECAPA_TDNN(
        24,
        lin_neurons=12,
        channels=[16, 16, 16, 16, 48],
        attention_channels=8,
        res2net_scale=4,
        se_channels=6,
    ).eval()
    network.load_state_dict(torch.load(tiny_ecapa / "embedding_model.ckpt", weights_only=True))
    voice = torch.from_numpy(tone(rng, 120)).unsqueeze(0)
    normalise = InputNormalization(norm_type="sentence", std_norm=False)
    with torch.no_grad():
        expected = network(normalise(Fbank(n_mels=24)(voice), torch.ones(1))).flatten()
    expected = torch.nn.functional.normalize(expected, dim=0).numpy()
    np.testing.assert_allclose(EcapaEncoder(tiny_ecapa).embed(voice[0].numpy(), 16000), expected, atol=1e-4)


def test_ecapa_reads_safetensors_too(tiny_ecapa: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    from safetensors.torch import save_file

    state = torch.load(tiny_ecapa / "embedding_model.ckpt", weights_only=True)
    save_file(state, tmp_path / "embedding_model.safetensors")
    voice = tone(rng, 120)
    np.testing.assert_array_equal(
        EcapaEncoder(tmp_path).embed(voice, 16000), EcapaEncoder(tiny_ecapa).embed(voice, 16000)
    )


def test_ecapa_weights_with_code_in_them_are_refused(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"blocks.0.conv.conv.weight": Code()}, tmp_path / "embedding_model.ckpt", pickle_module=pickle)
    with pytest.raises(CheckpointError, match="embedding_model.ckpt: cannot load"):
        EcapaEncoder(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"linear.weight": torch.zeros(2, 2)}, tmp_path / "embedding_model.ckpt")
    with pytest.raises(CheckpointError, match="fit no ECAPA-TDNN"):
        EcapaEncoder(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"expected embedding_model.safetensors or embedding_model.ckpt"
    ):
        EcapaEncoder(tmp_path)


def test_the_published_sizes_are_read_off_the_weights() -> None:
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    with torch.device("meta"):
        published = ECAPA_TDNN(
            80, lin_neurons=192, channels=[1024, 1024, 1024, 1024, 3072], attention_channels=128
        )
        rebuilt = build_ecapa(published.state_dict())
    shapes = {name: tensor.shape for name, tensor in published.state_dict().items()}
    assert {name: tensor.shape for name, tensor in rebuilt.state_dict().items()} == shapes


def test_how_long_somebody_speaks_does_not_depend_on_pauses_clicks_and_level(
    rng: np.random.Generator,
) -> None:
    voice = tone(rng, 120.0, seconds=2.0)
    pause = 1e-3 * voice
    click = np.zeros(16000, np.float32)
    click[8000] = 1.0
    assert speech_duration_s(voice, 16000) == pytest.approx(2.0, abs=0.05)
    assert speech_duration_s(np.concatenate([pause, voice, pause, pause]), 16000) == pytest.approx(
        2.0, abs=0.1
    )
    assert speech_duration_s(np.concatenate([click, voice]), 16000) == pytest.approx(2.0, abs=0.1)
    assert speech_duration_s(0.001 * voice, 16000) == pytest.approx(2.0, abs=0.05)
    assert speech_duration_s(np.zeros(16000, np.float32), 16000) == 0
    assert speech_duration_s(np.zeros(0, np.float32), 16000) == 0


def test_embeddings_of_other_weights_are_not_compared(tiny_ecapa: Path, rng: np.random.Generator) -> None:
    encoder = EcapaEncoder(tiny_ecapa)
    embedding = SpeakerEmbedding.of(tone(rng, 120.0), 16000, encoder=encoder, same_above=0.3)
    assert embedding.encoder.startswith("ecapa-") and embedding.encoder == EcapaEncoder(tiny_ecapa).identity
    assert embedding.vector_for(encoder) is embedding.vector
    other = replace(embedding, encoder="ecapa-0123")
    with pytest.raises(ConfigError, match="of the voice encoder ecapa-0123, expected one of ecapa-"):
        other.vector_for(encoder)
