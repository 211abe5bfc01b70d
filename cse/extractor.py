"""Load a model, give it a recording and the conversation before it, get the voice that continues it.

This is the only inference path: the command line, the service and the tests all come through here.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from cse.audio import AudioSource, Recording, read_audio
from cse.building import instantiate
from cse.chat.reading import History, turns_of
from cse.checkpoint import DEFAULT_MODEL, load_checkpoint, load_state
from cse.encoders.voice import SpeakerEmbedding
from cse.errors import CheckpointError, ConfigError, CseError, MissingCueError, TargetAbsentError, one_line
from cse.extraction import Candidate, Extraction
from cse.file_names import refuse_file_name
from cse.lazy_waveform import LazyWaveform, at_rate
from cse.original import Original, read_original
from cse.samples import is_samples

if TYPE_CHECKING:
    from cse.encoders.voice import VoiceEncoder
    from cse.inference.method import Method, Outcome, Precision
    from cse.selection.calibration import Choice
    from cse.selection.chooser import Chooser
    from cse.selection.scorer import Scorer
    from cse.selection.transcriber import Transcriber
    from cse.voice_book import VoiceBook

OnAbsent = Literal["best", "error", "silence", "passthrough"]
Enrollment: TypeAlias = "AudioSource | SpeakerEmbedding"


class Extractor:
    """Finds the voice in a recording that continues the conversation.

    Safe to share between threads once it is built.

    Args:
        method: Gets voices out of a mixture and chooses among them (`cse.inference`).
        name: Of the model, for reports.
        long_s: Recordings that are longer than this many seconds are not kept as they came, voices are kept in half
            precision, and brought to the recording's sample rate only when they are asked for or saved.

    >>> extractor = Extractor.from_pretrained()  # doctest: +SKIP
    >>> result = extractor.extract("note.ogg", history=[Turn("Where shall we meet?", "Ana")])  # doctest: +SKIP
    >>> result.save("voice.wav")  # doctest: +SKIP
    """

    def __init__(self, *, method: Method, name: str, long_s: float = 600.0) -> None:
        self.method = method
        self.name = name
        self.long_s = long_s

    @property
    def talkers(self) -> int:
        """How many voices in a recording the model was made for."""
        return self.method.talkers

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str] | None = None,
        *,
        device: str = "cpu",
        precision: Precision = "float32",
        quick: bool = False,
        transcriber: Transcriber | str | os.PathLike[str] | None = None,
        scorer: Scorer | str | os.PathLike[str] | None = None,
        voice_encoder: VoiceEncoder | str | os.PathLike[str] | None = None,
    ) -> Extractor:
        """Load a model. Nothing is downloaded unless it is asked for by a name that begins with `hf://`.

        Args:
            name_or_path: A packaged name, a folder, a file, or `hf://owner/name`; None is the packaged default.
            device: Where the networks run, e.g. "cpu" or "cuda".
            precision: Of the separation or extraction: "float32", or "bfloat16", which is quicker where the processor
                has it and the same as "float32" where not.
            quick: Take the recording apart in a single pass, where the model's checkpoint asks for a mean over several
                speeds: in half the time, and less exactly.
            transcriber: "moonshine", "pocketsphinx", folder or `hf://` name of a Whisper model, or an object; None is
                the first of the two that is installed.
            scorer: Folder or `hf://` name of a causal language model, or an object; None is
                the packaged next-turn scorer.
            voice_encoder: Folder or `hf://` name of an ECAPA-TDNN, or an object; None is Resemblyzer.

        Raises:
            CheckpointError: If a model is not there, damaged, or not one that separates talkers.
            ConfigError: If a part of the cascade is given for a model that chooses by itself.
            MissingExtraError: If the packages of a part are not installed.
        """
        from cse.inference.method import Runtime
        from cse.models.separator import Separator
        from cse.models.stretches import stretches_of
        from cse.models.target_extractor import TargetExtractor

        runtime = Runtime(device=device, precision=precision)
        checkpoint = load_checkpoint(name_or_path if name_or_path is not None else DEFAULT_MODEL)
        model = instantiate(checkpoint.config["model"])
        if not isinstance(model, Separator | TargetExtractor):
            raise CheckpointError(
                f"{checkpoint.name}: got a {type(model).__name__}, expected a Separator or a TargetExtractor; name a "
                "model made for extraction"
            )
        load_state(model, checkpoint.state)
        if isinstance(model, TargetExtractor):
            from cse.inference.under_cues import UnderCues

            parts = {"transcriber": transcriber, "scorer": scorer, "voice_encoder": voice_encoder}
            if given := [name for name, part in parts.items() if part is not None]:
                raise ConfigError(
                    f"{checkpoint.name}: got a {given[0]}, expected none: a {type(model).__name__} chooses by itself; "
                    "leave it out, or take a separator"
                )
            return cls(method=UnderCues(model=model, runtime=runtime), name=checkpoint.name)
        from cse.inference.separate_then_choose import SeparateThenChoose

        chooser = _chooser(
            transcriber=transcriber,
            scorer=scorer,
            voice_encoder=voice_encoder,
            calibration=checkpoint.config.get("calibration"),
            device=device,
        )
        method = SeparateThenChoose(
            separator=model,
            chooser=chooser,
            runtime=runtime,
            voices=chooser.voice_comparison(model.sample_rate),
            stretches=(1.0,) if quick else stretches_of(checkpoint.config, checkpoint.name),
        )
        return cls(method=method, name=checkpoint.name)

    def extract(
        self,
        audio: AudioSource,
        history: History | None = None,
        *,
        sample_rate: int | None = None,
        enrollment: Enrollment | None = None,
        target: str | None = None,
        on_absent: OnAbsent = "best",
        should_stop: Callable[[], bool] | None = None,
        voice_book: VoiceBook | None = None,
        sender: str | None = None,
    ) -> Extraction:
        """Return the voice that continues the history, or that sounds like the enrollment, or both.

        Args:
            audio: Path, bytes, file object, array or tensor ((T,) or (channels, T)) with the mixture; or a pair
                (array or tensor, its rate in Hz).
            history: Turns before the recording, oldest first; or messages of a chat, the text of a conversation, or the
                `Path` of a file with it (a chat export, where the turns end before the voice note of the same name).
                An empty one is allowed, with a warning that the choice is a guess.
            sample_rate: Rate in Hz of `audio` (and `enrollment`) where it is an array or tensor.
            enrollment: A recording of the wanted voice alone, or what `embed` made of one.
            target: Name of the person who speaks next, where it is known.
            on_absent: What to return if nobody continues the history: the `best` candidate all the same, `silence`,
                the mixture (`passthrough`), or an `error`.
            should_stop: Asked between windows; True ends the work with CancelledError.
            voice_book: Gives the voice of the sender for an enrollment, where it is known and there is no other one,
                and learns from the result.
            sender: Under which name the book keeps the wanted voice.

        Returns:
            The voice at the rate, length and level that it has in `audio`, with probability and all candidates.

        Raises:
            InvalidAudioError: If audio or enrollment cannot be used.
            HistoryError: If the history is no list of turns, or a string with the name of a file.
            MissingCueError: If there is neither history nor enrollment.
            ConfigError: If there is a book without a sender, an embedding of another voice encoder, or an unknown
                `on_absent`.
            VoiceBookError: If the book cannot be read.
            TargetAbsentError: If `on_absent` is "error" and nobody continues the history.
            CancelledError: If `should_stop` said so.
        """
        if on_absent not in get_args(OnAbsent):
            raise ConfigError(
                f"on_absent: got {on_absent!r}, expected one of {', '.join(get_args(OnAbsent))}; pass one of them"
            )
        refuse_file_name(history)
        if (voice_book is None) != (sender is None):
            raise ConfigError(
                "got only one of voice_book and sender, expected both or neither; pass the other too"
            )
        if voice_book is not None and sender is not None:
            known = voice_book.voice(sender)
            enrollment = known if enrollment is None else enrollment
        if history is None and enrollment is None:
            raise MissingCueError(
                "got neither a history nor an enrollment, expected at least one of them: pass the turns before the "
                "recording as `history`, or a sample of the wanted voice as `enrollment`"
            )
        started = time.perf_counter()
        original = read_original(
            audio, sample_rate=sample_rate, to_hz=self.method.sample_rate, long_s=self.long_s
        )
        turns = turns_of(
            history, audio=os.path.basename(audio) if isinstance(audio, str | os.PathLike) else None
        )
        voice = None if enrollment is None else read_enrollment(enrollment, sample_rate)
        warnings = list(original.warnings)
        if not turns and voice is None:
            warnings.append(
                "the history is empty and there is no enrollment: the choice among the talkers is a guess"
            )
        outcome = self.method.extract(
            original.take_resampled(),
            None if history is None else turns,
            enrollment=voice,
            target=target,
            should_stop=should_stop,
        )
        choice = outcome.choice
        warnings.extend(choice.warnings)
        waveforms = self._waveforms(outcome, original)
        waveform = waveforms[choice.index]
        if not choice.target_present:
            waveform = _absent(waveform, original, on_absent, choice, by_history=bool(turns))
        if isinstance(waveform, LazyWaveform) and not original.is_long:
            waveform.array()  # so that the seconds are those of all the work
        candidates = [
            Candidate(one, float(probability), transcript)
            for one, probability, transcript in zip(
                waveforms, choice.probabilities, choice.transcripts, strict=True
            )
        ]
        seconds = time.perf_counter() - started
        result = Extraction(
            waveform=waveform,
            sample_rate=original.sample_rate,
            probability=float(choice.probabilities[choice.index]),
            abstained=choice.abstained,
            target_present=choice.target_present,
            candidates=candidates,
            turn_attribution=choice.turn_attribution,
            context_turns=len(turns),
            duration_s=original.duration_s,
            real_time_factor=seconds / original.duration_s,
            model=self.name,
            warnings=warnings,
        )
        return result if voice_book is None or sender is None else self._teach(voice_book, sender, result)

    def embed(self, audio: AudioSource, *, sample_rate: int | None = None) -> SpeakerEmbedding:
        """How the one voice in a recording sounds, to be passed as an enrollment again and again.

        Args:
            audio: As for `extract`.
            sample_rate: Rate in Hz of `audio` where it is an array or tensor.

        Raises:
            InvalidAudioError: If the audio cannot be used.
            MissingExtraError: If the package of the voice encoder is not installed.
            ConfigError: If the model has no voice encoder whose embeddings can be kept.
        """
        return self.method.embed_voice(read_audio(audio, sample_rate=sample_rate))

    def extract_batch(
        self,
        audios: Sequence[AudioSource],
        histories: Sequence[History | None],
        *,
        sample_rate: int | None = None,
        enrollments: Sequence[Enrollment | None] | None = None,
    ) -> list[Extraction]:
        """Extract from several recordings, one after the other; see `extract`.

        Raises:
            ValueError: If the sequences differ in length.
        """
        voices = enrollments if enrollments is not None else [None] * len(audios)
        return [
            self.extract(audio, history, sample_rate=sample_rate, enrollment=voice)
            for audio, history, voice in zip(audios, histories, voices, strict=True)
        ]

    async def aextract(
        self,
        audio: AudioSource,
        history: History | None = None,
        *,
        sample_rate: int | None = None,
        enrollment: Enrollment | None = None,
        target: str | None = None,
        on_absent: OnAbsent = "best",
        should_stop: Callable[[], bool] | None = None,
        voice_book: VoiceBook | None = None,
        sender: str | None = None,
    ) -> Extraction:
        """`extract` in a worker thread, for asynchronous servers."""
        return await asyncio.to_thread(
            self.extract,
            audio,
            history,
            sample_rate=sample_rate,
            enrollment=enrollment,
            target=target,
            on_absent=on_absent,
            should_stop=should_stop,
            voice_book=voice_book,
            sender=sender,
        )

    def _teach(self, voice_book: VoiceBook, sender: str, result: Extraction) -> Extraction:
        """Let the book learn from a result; a book that cannot costs a warning, never the result."""
        from cse.voice_book import Learning

        voice = Recording(
            waveform=result.waveform, sample_rate=result.sample_rate, name="the extracted voice"
        )
        try:
            learning = voice_book.learn(sender, result, self.method.embed_voice(voice))
        except CseError as error:
            learning = Learning(False, one_line(error))
            return replace(
                result,
                learning=learning,
                warnings=[*result.warnings, f"no voice was learnt: {learning.reason}"],
            )
        return replace(result, learning=learning)

    def _waveforms(self, outcome: Outcome, original: Original) -> list[np.ndarray | LazyWaveform]:
        """The voices at the rate and length of the recording, or the recording itself."""
        if outcome.is_recording:
            return [original.waveform()]
        return [
            at_rate(voice, self.method.sample_rate, original.sample_rate, samples=original.samples)
            for voice in outcome.voices
        ]


def _chooser(
    *,
    transcriber: Transcriber | str | os.PathLike[str] | None,
    scorer: Scorer | str | os.PathLike[str] | None,
    voice_encoder: VoiceEncoder | str | os.PathLike[str] | None,
    calibration: Mapping[str, Any] | None,
    device: str,
) -> Chooser:
    """The chooser of a cascade, with what was given by name loaded."""
    from cse.selection.chooser import default_chooser

    if isinstance(transcriber, str | os.PathLike):
        from cse.selection.transcribers import load_transcriber

        transcriber = load_transcriber(transcriber, device=device)
    if isinstance(scorer, str | os.PathLike):
        from cse.selection.causal_lm import CausalLMScorer

        scorer = CausalLMScorer(scorer, device=device)
    if isinstance(voice_encoder, str | os.PathLike):
        from cse.encoders.ecapa import EcapaEncoder

        voice_encoder = EcapaEncoder(voice_encoder)
    return default_chooser(
        transcriber=transcriber, scorer=scorer, voice_encoder=voice_encoder, calibration=calibration
    )


def read_enrollment(source: Enrollment, sample_rate: int | None) -> Recording | SpeakerEmbedding:
    """A sample of the wanted voice, read where it is none yet; `sample_rate` in Hz is that of an array or tensor."""
    if isinstance(source, SpeakerEmbedding):
        return source
    return read_audio(source, sample_rate=sample_rate if is_samples(source) else None)


def _absent(
    best: np.ndarray | LazyWaveform,
    original: Original,
    on_absent: OnAbsent,
    choice: Choice,
    *,
    by_history: bool,
) -> np.ndarray | LazyWaveform:
    if on_absent == "error":
        raise TargetAbsentError(
            f"{original.name}: nobody in the recording seems to "
            f"{'continue the history' if by_history else 'have the voice of the enrollment'} (probability "
            f"{choice.p_none:.2f}); use on_absent silence or passthrough to get an output all the same"
        )
    if on_absent == "silence":
        return np.zeros(original.samples, np.float32)
    return original.waveform() if on_absent == "passthrough" else best
