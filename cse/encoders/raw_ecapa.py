"""ECAPA-TDNN as the published H-ContExt hears it."""

from __future__ import annotations

import numpy as np

from cse.audio import resample
from cse.encoders.ecapa import EcapaEncoder
from cse.encoders.voice import SILENCE_PEAK, VOICE_RATE_HZ


class RawEcapaEncoder(EcapaEncoder):
    """Like `EcapaEncoder`, of the whole recording, and its embeddings have the length that the network gives them.

    SpeechBrain's own pipeline does the same, and weights that were trained with it expect no other length.

    Args:
        model: As for `EcapaEncoder`.
    """

    name = "raw_ecapa"

    def embed(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Embed one voice, (T,) float32 of any level -> (D,) float32 of any length; zeros for silence."""
        import torch

        if not waveform.size or np.abs(waveform).max() < SILENCE_PEAK:
            return np.zeros(self.embedding_size, np.float32)
        speech = np.ascontiguousarray(resample(waveform, sample_rate, VOICE_RATE_HZ), np.float32)
        with torch.inference_mode():
            features = self._features(torch.from_numpy(speech).unsqueeze(0))
            embedding: np.ndarray = (
                self._network(features - features.mean(dim=1, keepdim=True)).flatten().numpy()
            )
        return embedding
