"""The offline voice encoder: Resemblyzer's GE2E weights, in a network of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cse.audio import resample
from cse.encoders.sources import package_folder
from cse.encoders.voice import SILENCE_PEAK, VOICE_RATE_HZ, WINDOW_S, loud_windows, unit, weights_identity
from cse.errors import CheckpointError, one_line

if TYPE_CHECKING:
    from torch import Tensor

EMBEDDING_SIZE = 256
_MELS, _HIDDEN, _LAYERS = 40, 256, 3
_FRAME, _HOP = 400, 160
_WINDOW = round(WINDOW_S * VOICE_RATE_HZ / _HOP)  # frames
_STEP = 77  # frames from window to window
_BATCH = 64
_MIN_RMS = 10 ** (-30 / 20)  # the level that the weights were trained at


class ResemblyzerEncoder:
    """Tells voices apart by three LSTM layers over windows of 1.6 s of mel spectrum; 5 MB of weights.

    Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018. Only the package's
    weights are used: its code imports a voice activity detector (which made it worse here) and deprecated
    modules. What it does is the same to six digits, except that windows far below the loudest one are left
    out.

    Raises:
        MissingExtraError: resemblyzer is not installed.
        CheckpointError: its weights cannot be read.
    """

    name = "resemblyzer"

    def __init__(self) -> None:
        import torch
        from torchaudio.transforms import MelSpectrogram

        path = (
            package_folder("resemblyzer", feature="comparing voices offline", package="Resemblyzer")
            / "pretrained.pt"
        )
        # librosa's defaults, which the weights were trained with
        self._spectrum = MelSpectrogram(
            VOICE_RATE_HZ,
            n_fft=_FRAME,
            hop_length=_HOP,
            n_mels=_MELS,
            norm="slaney",
            mel_scale="slaney",
            pad_mode="constant",
        )
        network = torch.nn.ModuleDict(
            {
                "lstm": torch.nn.LSTM(_MELS, _HIDDEN, _LAYERS, batch_first=True),
                "linear": torch.nn.Linear(_HIDDEN, EMBEDDING_SIZE),
            }
        )
        try:
            self.identity = weights_identity(self.name, path)
            state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
            network.load_state_dict({name: state[name] for name in network.state_dict()})
        except Exception as error:  # a damaged file fails in many ways, from zip to pickle to missing keys
            raise CheckpointError(
                f"{path}: cannot load: {one_line(error)}; install Resemblyzer again"
            ) from error
        self._network = network.eval().requires_grad_(False)

    def embed(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Embed one voice.

        Args:
            waveform: (T,) float32, any level.
            sample_rate: in Hz.

        Returns:
            (256,) float32 of length 1 without negative entries; zeros for silence.
        """
        import torch

        if not waveform.size or np.abs(waveform).max() < SILENCE_PEAK:
            return np.zeros(EMBEDDING_SIZE, np.float32)
        speech = resample(waveform, sample_rate, VOICE_RATE_HZ)
        speech *= max(1.0, _MIN_RMS / float(np.sqrt(np.mean(np.square(speech)))))
        with torch.inference_mode():
            frames = self._spectrum(torch.from_numpy(speech)).T
            frames = torch.nn.functional.pad(frames, (0, 0, 0, max(0, _WINDOW - len(frames))))
            windows = frames.unfold(0, _WINDOW, _STEP).transpose(1, 2)
            windows = windows[torch.from_numpy(loud_windows(windows.mean(dim=(1, 2)).numpy()))]
            embeddings = torch.cat([self._embed_windows(batch) for batch in windows.split(_BATCH)])
            return unit(embeddings.mean(dim=0).numpy())

    def _embed_windows(self, windows: Tensor) -> Tensor:
        """(W, frames, mels) to (W, 256), each of length 1."""
        import torch

        _, (hidden, _) = self._network["lstm"](windows.contiguous())
        return torch.nn.functional.normalize(torch.relu(self._network["linear"](hidden[-1])), dim=-1)
