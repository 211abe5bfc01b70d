"""What comes out of a stream: at first no voice, then the one that was chosen."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from cse.errors import ConfigError
from cse.streaming.choosing import DeferredChoice

BeforeChoice = Literal["silence", "mixture"]
_FADE_S = 0.02


class VoiceSwitch:
    """Gives silence or the mixture until there is a choice, then fades to the voice.

    What comes out does not depend on how the stream was cut.

    Args:
        choice: Is given the voices until it has chosen.
        sample_rate: In Hz.
        before_choice: What comes out until then.

    Raises:
        ConfigError: `before_choice` is something else.
    """

    def __init__(self, choice: DeferredChoice, *, sample_rate: int, before_choice: BeforeChoice) -> None:
        if before_choice not in get_args(BeforeChoice):
            raise ConfigError(f"before_choice: got {before_choice!r}, expected silence or mixture")
        self._choice = choice
        self._gain_before = 1.0 if before_choice == "mixture" else 0.0
        self._fade = max(1, round(_FADE_S * sample_rate))
        self._faded = 0
        self._frame: list[np.ndarray] = []  # what is there of the next one to be heard
        self._missing = choice.frame

    def push(self, voices: np.ndarray, mixture: np.ndarray) -> np.ndarray:
        """The next voices (S, T) and their mixture (T,) -> (T,) float32."""
        start = 0
        while self._choice.made is None and start < len(mixture):
            part = voices[:, start : start + self._missing]
            start += part.shape[1]
            self._hear(part)
        before = np.float32(self._gain_before) * mixture
        if start == len(mixture):
            return before
        return np.concatenate([before[:start], self._chosen(voices[:, start:], before[start:])])

    def _hear(self, part: np.ndarray) -> None:
        self._frame.append(part)
        self._missing -= part.shape[1]
        if self._missing == 0:
            self._choice.hear(np.concatenate(self._frame, axis=1))
            self._frame, self._missing = [], self._choice.frame

    def _chosen(self, voices: np.ndarray, before: np.ndarray) -> np.ndarray:
        assert self._choice.made is not None
        voice: np.ndarray = voices[list(self._choice.made.outputs)].sum(axis=0)
        fading = min(self._fade - self._faded, len(voice))
        if fading > 0:
            share = ((self._faded + np.arange(1, fading + 1)) / self._fade).astype(np.float32)
            voice[:fading] = before[:fading] + share * (voice[:fading] - before[:fading])
            self._faded += fading
        return voice
