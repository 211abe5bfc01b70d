"""No choice: for who wants all the voices, or chooses by other means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cse.audio import Recording
from cse.encoders.voice import SpeakerEmbedding
from cse.errors import ConfigError
from cse.history import Turn
from cse.selection.calibration import Calibration, Choice


class EvenChooser:
    """Finds every candidate as likely as every other, abstains, and returns the loudest."""

    def choose(
        self,
        candidates: Sequence[np.ndarray],
        sample_rate: int,
        history: Sequence[Turn] | None = None,
        *,
        enrollment: Recording | SpeakerEmbedding | None = None,
        target: str | None = None,
    ) -> Choice:
        """See `cse.inference.cascade.Chooses`.

        >>> choice = EvenChooser().choose([np.full(9, 0.1), np.full(9, 0.3)], 16000)
        >>> choice.index, choice.abstained, choice.probabilities.round(2).tolist()
        (1, True, [0.45, 0.45])
        """
        prior = Calibration().absent_prior
        power = [np.mean(np.square(candidate, dtype=np.float64)) for candidate in candidates]
        return Choice(
            index=int(np.argmax(power)),
            probabilities=np.full(len(candidates), (1 - prior) / len(candidates)),
            p_none=prior,
            abstained=True,
            target_present=True,
            audible=np.ones(len(candidates), bool),
            transcripts=(None,) * len(candidates),
            warnings=(
                "there is no chooser: the loudest talker is returned; pass one, or choose a candidate",
            ),
        )

    def embed_voice(self, recording: Recording) -> SpeakerEmbedding:
        """Raises ConfigError: there is no voice encoder."""
        raise ConfigError("got no chooser, expected one with a voice encoder; pass it as chooser")
