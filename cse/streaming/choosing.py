"""The choice among the voices of a stream: asked for again and again, until it is sure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cse.audio import Recording
from cse.encoders.voice import SpeakerEmbedding
from cse.errors import ConfigError
from cse.history import Turn
from cse.inference.cascade import Chooses
from cse.models.found_talkers import found_talkers
from cse.selection.calibration import Choice
from cse.streaming.speech import SpeechClock


@dataclass(frozen=True, kw_only=True)
class Patience:
    """When a stream's choice is sure, and how often it is asked for until then.

    Attributes:
        sure_above: The probability from which on a choice is sure,
        min_words: if so many of its words were probably heard right (where words are heard at all),
        min_speech_s: and somebody has spoken for so long,
        min_lone_speech_s: or for so long if only one talker was found: the wanted one may still come.
        ask_again_s: How much more speech there must be before the next question; a quarter of what was heard at least.
        listen_s: How much of each voice is kept to be listened to, the latest.

    Raises:
        ConfigError: A value is out of range.
    """

    sure_above: float = 0.8
    min_words: float = 3.0
    min_speech_s: float = 2.0
    min_lone_speech_s: float = 8.0
    ask_again_s: float = 1.0
    listen_s: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.sure_above <= 1:
            raise ConfigError(f"sure_above: got {self.sure_above}, expected a probability from 0 to 1")
        for name in ("min_words", "min_speech_s", "min_lone_speech_s", "ask_again_s", "listen_s"):
            if not getattr(self, name) >= (0 if name == "min_words" else 0.05):
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected a longer time or more words")


@dataclass(frozen=True, kw_only=True)
class StreamChoice:
    """Whose voice a stream returns from some time on.

    Attributes:
        index: Which output of the separator it is.
        probability: That this voice continues the history.
        transcript: What had been heard of it until then; None where no words were asked for.
        time_s: Since the beginning of the sound, when it was chosen.
        outputs: All outputs of the separator that it is the sum of: a talker may be taken apart by mistake.
    """

    index: int
    probability: float
    transcript: str | None
    time_s: float
    outputs: tuple[int, ...]


class DeferredChoice:
    """Listens to the voices of a stream, and chooses one of them when it can be sure; memory does not grow.

    Args:
        chooser: Tells which voice is meant.
        sample_rate: Of the voices, in Hz.
        history: Turns before the stream; None if there is none.
        enrollment: The wanted voice alone, or its embedding.
        target: Name of the person who speaks, where it is known.
        patience: When to ask, and when it is sure.
    """

    def __init__(
        self,
        *,
        chooser: Chooses,
        sample_rate: int,
        history: Sequence[Turn] | None,
        enrollment: Recording | SpeakerEmbedding | None,
        target: str | None,
        patience: Patience,
    ) -> None:
        self.made: StreamChoice | None = None
        self._chooser = chooser
        self._rate = sample_rate
        self._history = history
        self._enrollment = enrollment
        self._target = target
        self._patience = patience
        self._speech = SpeechClock(sample_rate=sample_rate)
        self._kept: deque[np.ndarray] = deque(maxlen=round(patience.listen_s * sample_rate / self.frame))
        self._samples = 0  # of the stream so far
        self._asked_at_s = 0.0  # of speech

    @property
    def frame(self) -> int:
        """Samples (of the stream, from its beginning) after whose multiples a choice may be made."""
        return self._speech.frame

    def hear(self, voices: np.ndarray) -> None:
        """Listen to the next frame (S, `frame`) of the voices, and choose if it is time to.

        Raises:
            CseError: What the chooser says.
        """
        self._kept.append(voices)
        self._samples += voices.shape[1]
        self._speech.hear(voices)
        new_s = self._speech.speech_s - self._asked_at_s
        patience = self._patience
        enough = self._speech.speech_s >= patience.min_speech_s
        pause_s = max(patience.ask_again_s, min(0.25 * self._asked_at_s, 0.25 * patience.listen_s))
        if enough and (self._asked_at_s == 0 or new_s >= pause_s):
            self.ask()

    def ask(self) -> None:
        """Choose by what was heard, if that is sure; at the end of a stream, since nothing more will come.

        Raises:
            CseError: What the chooser says.
        """
        if self.made is not None or self._speech.speech_s == self._asked_at_s:
            return
        self._asked_at_s = self._speech.speech_s
        heard = np.concatenate(self._kept, axis=1)
        talkers = found_talkers(heard, self._rate)
        choice = self._chooser.choose(
            [heard[outputs].sum(axis=0) for outputs in talkers],
            self._rate,
            self._history,
            enrollment=self._enrollment,
            target=self._target,
        )
        if self._is_sure(choice, alone=len(talkers) == 1):
            self._make(choice, talkers[choice.index])

    def _is_sure(self, choice: Choice, *, alone: bool) -> bool:
        patience = self._patience
        return bool(
            choice.probabilities[choice.index] >= patience.sure_above
            and (choice.words is None or choice.words[choice.index] >= patience.min_words)
            and (not alone or self._speech.speech_s >= patience.min_lone_speech_s)
        )

    def _make(self, choice: Choice, outputs: Sequence[int]) -> None:
        self.made = StreamChoice(
            index=outputs[0],
            probability=float(choice.probabilities[choice.index]),
            transcript=choice.transcripts[choice.index] if choice.transcripts else None,
            time_s=self._samples / self._rate,
            outputs=tuple(outputs),
        )
        self._kept.clear()
