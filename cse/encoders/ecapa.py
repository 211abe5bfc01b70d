"""A stronger voice encoder: SpeechBrain's ECAPA-TDNN, from a folder or a hub repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cse.audio import resample
from cse.encoders.sources import model_folder
from cse.encoders.voice import SILENCE_PEAK, VOICE_RATE_HZ, WINDOW_S, loud_windows, unit, weights_identity
from cse.errors import CheckpointError, one_line

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = ("embedding_model.safetensors", "embedding_model.ckpt")
"""Names that the weights may have, the second as SpeechBrain publishes them (read without running any code in
them)."""

_MAX_SPEECH_S = 30.0


class EcapaEncoder:
    """Tells voices apart with channel attention over 80 mel bands: ECAPA-TDNN.

    Desplanques et al., "ECAPA-TDNN: emphasized channel attention, propagation and aggregation in TDNN based
    speaker verification", Interspeech 2020. The features are those of SpeechBrain's VoxCeleb recipe:
    mean-normalised log mel energies. The sizes of the network are read off its weights.

    Args:
        model: A folder with `embedding_model.ckpt` (or `.safetensors`), or `hf://organisation/name`, which
        downloads it,
            e.g. hf://speechbrain/spkrec-ecapa-voxceleb.

    Raises:
        CheckpointError: no such folder, no weights in it, or weights of another network.
    """

    name = "ecapa"

    def __init__(self, model: str | os.PathLike[str]) -> None:
        from speechbrain.lobes.features import Fbank

        folder = model_folder(model, files=WEIGHTS)
        path = _find_weights(folder)
        state = _read_weights(path)
        self.identity = weights_identity(self.name, path)
        try:
            self._network = build_ecapa(state).eval().requires_grad_(False)
            self._network.load_state_dict(dict(state))
        except (KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"{folder}: the weights fit no ECAPA-TDNN of SpeechBrain: {one_line(error)[:200]}"
            ) from error
        self._features = Fbank(n_mels=int(state["blocks.0.conv.conv.weight"].shape[1]))
        self.embedding_size = int(state["fc.conv.weight"].shape[0])

    def embed(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Embed one voice; of long recordings the first 30 s of loud speech.

        Args:
            waveform: (T,) float32, any level.
            sample_rate: in Hz.

        Returns:
            (D,) float32 of length 1, D as in the weights (192 as published); zeros for silence.
        """
        import torch

        if not waveform.size or np.abs(waveform).max() < SILENCE_PEAK:
            return np.zeros(self.embedding_size, np.float32)
        speech = _loud_speech(resample(waveform, sample_rate, VOICE_RATE_HZ))
        with torch.inference_mode():
            features = self._features(torch.from_numpy(speech).unsqueeze(0))
            features = features - features.mean(dim=1, keepdim=True)
            return unit(self._network(features).flatten().numpy())


def build_ecapa(state: Mapping[str, Tensor]) -> nn.Module:
    """Build SpeechBrain's ECAPA-TDNN in the sizes of its weights; dilations are the usual 1, 2, 3, 4, 1."""
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    first, last = state["blocks.0.conv.conv.weight"], state["mfa.conv.conv.weight"]
    inner = [state[f"blocks.{block}.tdnn2.conv.conv.weight"] for block in range(1, blocks)]
    res2net = [
        name
        for name in state
        if name.startswith("blocks.1.res2net_block.blocks.") and name.endswith("conv.conv.weight")
    ]
    settings: dict[str, Any] = {
        "input_size": first.shape[1],
        "lin_neurons": state["fc.conv.weight"].shape[0],
        "channels": [first.shape[0], *(weight.shape[0] for weight in inner), last.shape[0]],
        "kernel_sizes": [first.shape[2], *(state[res2net[0]].shape[2] for _ in inner), last.shape[2]],
        "dilations": [*range(1, blocks + 1), 1],
        "groups": [1] * (blocks + 1),
        "attention_channels": state["asp.tdnn.conv.conv.weight"].shape[0],
        "se_channels": state["blocks.1.se_block.conv1.conv.weight"].shape[0],
        "res2net_scale": len(res2net) + 1,
        "global_context": state["asp.tdnn.conv.conv.weight"].shape[1] == 3 * last.shape[0],
    }
    return ECAPA_TDNN(**settings)


def _find_weights(folder: Path) -> Path:
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"{folder}: got no weights, expected {' or '.join(WEIGHTS)}")
    return path


def _read_weights(path: Path) -> dict[str, Tensor]:
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged file fails in many ways, from zip to pickle to JSON
        raise CheckpointError(
            f"{path}: cannot load: {one_line(error)[:200]}; fetch the file again"
        ) from error


def _loud_speech(speech: np.ndarray) -> np.ndarray:
    """The windows of (T,) that hold the talker's own speech, one after the other."""
    window = round(WINDOW_S * VOICE_RATE_HZ)
    edges = range(0, max(1, len(speech) - window // 2), window)
    pieces = [speech[start : start + window] for start in edges[:-1]] + [speech[edges[-1] :]]
    loud = loud_windows(np.array([np.mean(np.square(piece)) for piece in pieces]))
    kept = np.concatenate([piece for piece, is_loud in zip(pieces, loud, strict=True) if is_loud])
    return kept[: round(_MAX_SPEECH_S * VOICE_RATE_HZ)]
