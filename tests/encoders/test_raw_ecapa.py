"""The embeddings that the published H-ContExt was trained with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

from cse.encoders.raw_ecapa import RawEcapaEncoder


@pytest.fixture
def network(tmp_path: Path) -> ECAPA_TDNN:
    """A random ECAPA-TDNN, saved as SpeechBrain publishes its own."""
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
    torch.save(network.state_dict(), tmp_path / "embedding_model.ckpt")
    return network.eval()


@torch.no_grad()
def test_embeddings_are_those_of_speechbrain_s_pipeline(network, tmp_path, rng):
    voice = rng.standard_normal(32000).astype(np.float32) * np.repeat([0.1, 0.001], 16000).astype(np.float32)
    features = Fbank(n_mels=24)(torch.from_numpy(voice).unsqueeze(0))
    expected = network(features - features.mean(1, keepdim=True)).flatten().numpy()
    embedding = RawEcapaEncoder(tmp_path).embed(voice, 16000)
    np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-6)
    assert abs(np.linalg.norm(embedding) - 1) > 0.1, "not scaled to length 1"


def test_silence_is_zeros(network, tmp_path):
    assert not RawEcapaEncoder(tmp_path).embed(np.zeros(8000, np.float32), 8000).any()
