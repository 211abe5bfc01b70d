"""Push sound in as it comes, and get the voice that continues the conversation."""

from __future__ import annotations

from typing import Any

import numpy as np

from cse.chat.reading import History, turns_of
from cse.downmix import MAX_RATE_HZ, MIN_RATE_HZ
from cse.errors import ConfigError, InvalidAudioError, MissingCueError
from cse.extractor import Enrollment, Extractor, read_enrollment
from cse.inference.cascade import Cascade
from cse.resampling import Resampler
from cse.samples import check_samples, open_samples
from cse.streaming.choosing import DeferredChoice, Patience, StreamChoice
from cse.streaming.separation import begin_separation
from cse.streaming.switch import BeforeChoice, VoiceSwitch
from cse.streaming.windowed import Windows

_AT_ONCE_S = 1.0  # so that memory does not depend on how much is pushed at once
_RESAMPLED_S = 0.01


class StreamingExtractor:
    """One stream: samples in, samples out, a bounded time later. Not to be shared between threads.

    Until the choice among the voices is sure, silence or the mixture comes out in place of the voice. What was said
    until then is not caught up with: the stream stays in step with the sound that comes in. The choice is not revised
    once it is made. Memory does not grow with the stream.

    A separator that never looks ahead (`CausalConvTasNet`) gives what it would give of the whole recording, within
    milliseconds. Any other one, such as those of this package, works on the last seconds again and again, and looks
    ahead for `windows`. `push` works in the caller's thread, now and then for as long as it takes to listen to the
    words.

    Args:
        extractor: Whose model separates, then chooses; many streams can share it, in threads too.
        history: As `Extractor.extract`.
        sample_rate: Of the samples in and out, in Hz.
        enrollment: As `Extractor.extract`, a recording or what `Extractor.embed` made of one.
        target: As `Extractor.extract`.
        before_choice: What comes out until the choice is sure.
        patience: When it is.
        windows: How a separator that looks ahead is used.

    Raises:
        ConfigError: The model is not one that separates first.
        MissingCueError: There is neither history nor enrollment.
        HistoryError: The history is no list of turns.
        InvalidAudioError: The sample rate or the enrollment cannot be used.

    >>> from cse.testing.models import told_extractor, two_tones
    >>> stream = StreamingExtractor(extractor=told_extractor(1), history="Ana: Hi", sample_rate=16000)
    >>> voice = np.concatenate([stream.push(two_tones(4.0)), stream.flush()])
    >>> voice.shape, stream.choice.index, round(stream.latency_s, 2)
    ((64000,), 1, 1.5)
    """

    def __init__(
        self,
        *,
        extractor: Extractor,
        history: History | None,
        sample_rate: int,
        enrollment: Enrollment | None = None,
        target: str | None = None,
        before_choice: BeforeChoice = "silence",
        patience: Patience | None = None,
        windows: Windows | None = None,
    ) -> None:
        method = extractor.method
        if not isinstance(method, Cascade):
            raise ConfigError(
                f"{extractor.name}: got a model that is told while it listens, expected one that separates first; "
                "streams through others are not written: take a separator"
            )
        if history is None and enrollment is None:
            raise MissingCueError(
                "got neither a history nor an enrollment, expected at least one of them: pass the turns before the "
                "stream as `history`, or a sample of the wanted voice as `enrollment`"
            )
        _, self.sample_rate = check_samples(np.zeros(0, np.float32), sample_rate)
        if not MIN_RATE_HZ <= self.sample_rate <= MAX_RATE_HZ:
            raise InvalidAudioError(
                f"got a sample rate of {self.sample_rate} Hz, expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz; resample it"
            )
        self._separation = begin_separation(method, windows or Windows())
        self._chooser = DeferredChoice(
            chooser=method.chooser,
            sample_rate=method.sample_rate,
            history=None if history is None else turns_of(history),
            enrollment=None if enrollment is None else read_enrollment(enrollment, self.sample_rate),
            target=target,
            patience=patience or Patience(),
        )
        self._switch = VoiceSwitch(self._chooser, sample_rate=method.sample_rate, before_choice=before_choice)
        self._model_rate = method.sample_rate
        self._in = _resampler(self.sample_rate, method.sample_rate)
        self._out = _resampler(method.sample_rate, self.sample_rate)
        self._waiting = np.zeros(0, np.float32)  # the mixture whose voices are not there yet
        self._came = self._gone = 0
        self._over = False

    @property
    def latency_s(self) -> float:
        """How much more sound has to come before a sample can come out, at most; the work takes time besides."""
        at_model = (self._separation.latency + self._out.latency) / self._model_rate
        return at_model + self._in.latency / self.sample_rate

    @property
    def choice(self) -> StreamChoice | None:
        """Whose voice comes out; None until it is sure."""
        return self._chooser.made

    def push(self, chunk: np.ndarray) -> np.ndarray:
        """Take the next samples, and return those that are ready.

        Args:
            chunk: (T,) the next samples, floating point in −1..1 or integers, as many as there are.

        Returns:
            (T',) float32. All of them together are as many samples as came in, after `flush`.

        Raises:
            InvalidAudioError: They cannot be used, and were not; or the stream is over.
            CseError: What the parts of the model say; then the stream is over.
        """
        samples = self._checked(chunk)
        ready = []
        self._over = True  # if anything goes wrong
        at_once = max(1, round(_AT_ONCE_S * self.sample_rate))
        for start in range(0, len(samples), at_once):
            piece = samples[start : start + at_once]
            self._came += len(piece)
            ready += [self._returned(self._voice(block)) for block in self._in.push(piece)]
        self._over = False
        return np.concatenate(ready) if ready else np.zeros(0, np.float32)

    def flush(self) -> np.ndarray:
        """End the stream, and return the rest: (T',) float32.

        If the choice was not sure yet, it is asked for once more: who spoke is then in `choice`.

        Raises:
            InvalidAudioError: The stream is over already.
            CseError: What the parts of the model say.
        """
        self._check_going_on()
        self._over = True
        if not self._came:
            return np.zeros(0, np.float32)
        voices = [self._voice(block) for block in self._in.flush()]
        voices.append(self._switch.push(self._separation.flush(), self._waiting))
        self._chooser.ask()
        rest = [self._returned(voice) for voice in voices]
        rest += [self._counted(block) for block in self._out.flush()]
        return np.concatenate(rest)

    def _checked(self, chunk: Any) -> np.ndarray:
        self._check_going_on()
        array = np.asarray(chunk)
        if array.ndim != 1:
            raise InvalidAudioError(
                f"got samples of shape {array.shape}, expected (T,): one channel, the mean of several"
            )
        array, rate = check_samples(array, self.sample_rate)
        with open_samples(array, rate) as stream:
            samples = np.concatenate([np.zeros(0, np.float32), *(block[:, 0] for block in stream.blocks)])
        if not np.isfinite(samples).all() or np.abs(samples).max(initial=0.0) > _BEYOND_SCALE:
            raise InvalidAudioError(
                "got samples that are NaN, infinite or far beyond full scale, expected finite ones in -1..1; integers "
                "are to be passed as integers"
            )
        return samples

    def _check_going_on(self) -> None:
        if self._over:
            raise InvalidAudioError(
                "got samples for a stream that is over, expected none after flush or an error; begin another one"
            )

    def _voice(self, mixture: np.ndarray) -> np.ndarray:
        """(T,) at the model's rate -> what is ready of the output at that rate."""
        self._waiting = np.concatenate([self._waiting, mixture])
        voices = self._separation.push(mixture)
        length = voices.shape[1]
        heard, self._waiting = self._waiting[:length], self._waiting[length:].copy()
        return self._switch.push(voices, heard)

    def _returned(self, voice: np.ndarray) -> np.ndarray:
        blocks = [self._counted(block) for block in self._out.push(voice)]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def _counted(self, block: np.ndarray) -> np.ndarray:
        """Without what is beyond the end: rates that are no multiples of each other round up."""
        block = block[: self._came - self._gone]
        self._gone += len(block)
        return block


_BEYOND_SCALE = 1e3


def _resampler(from_hz: int, to_hz: int) -> Resampler:
    return Resampler(from_hz, to_hz, block_samples=max(1, round(_RESAMPLED_S * from_hz)))
