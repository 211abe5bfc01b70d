"""One mixture, one extraction: every number that can be said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cse.audio import fit_length, load_waveform, resample
from cse.errors import InvalidAudioError
from cse.evaluation import metrics as measure
from cse.evaluation.words import WordErrors, count_word_errors

if TYPE_CHECKING:
    from cse.extraction import Extraction
    from cse.manifest import Mixture
    from cse.selection.transcriber import Transcriber

METRICS = frozenset({"pesq", "stoi", "wer"})
"""What is computed only when asked for, because it takes long or needs the extra [metrics]."""


@dataclass(frozen=True)
class Signals:
    """Mixture (T,), target and interferers (up to T,), all float32 at the sample rate of the manifest."""

    mixture: np.ndarray
    target: np.ndarray | None
    interferers: tuple[np.ndarray, ...]
    sample_rate: int


@dataclass(frozen=True)
class CandidateResult:
    """One talker the extractor found: how probably it is the target, and its score against the target."""

    probability: float | None
    si_sdr_db: float | None
    transcript: str | None


@dataclass
class ItemResult:
    """The row of one mixture; None stands for what cannot be said or was not asked for."""

    id: str
    target_absent: bool
    talkers: int
    history_turns: int
    enrollment: bool
    duration_s: float
    alone: bool = False  # a talker without interferers and without noise
    seconds: float | None = None
    processor_seconds: float | None = None  # of all cores; other work on the machine does not enter
    talkers_found: int | None = None
    probability: float | None = None
    right: bool = False
    p_none: float | None = None  # that no candidate is the target
    target_present: bool | None = None  # what the extractor says; `target_absent` is the truth
    abstained: bool | None = None
    si_sdr_db: float | None = None
    si_sdri_db: float | None = None
    sdr_db: float | None = None
    sdri_db: float | None = None
    interferer_si_sdr_db: float | None = None  # against the interferer the estimate is nearest to
    hedged: bool | None = None
    separation_si_sdri_db: float | None = None
    input_si_sdr_db: float | None = None  # of the estimate against the recording itself, of a talker alone
    pesq: float | None = None
    stoi: float | None = None
    wer: float | None = None
    transcript: str | None = None
    candidates: list[CandidateResult] = field(default_factory=list)
    turn_attribution: list[float] | None = None
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    word_errors: WordErrors | None = None

    @property
    def voice_is_right(self) -> bool:
        """Whether the returned voice continues the history, which is what `probability` speaks of."""
        return self.right and not self.target_absent

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without NaN; `word_errors` are in there as the rate `wer` only."""
        row = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "word_errors"}
        row["candidates"] = [
            {"probability": one.probability, "si_sdr_db": one.si_sdr_db, "transcript": one.transcript}
            for one in self.candidates
        ]
        row["probabilities"] = [one.probability for one in self.candidates]
        return row


def load_signals(mixture: Mixture) -> Signals:
    """Read the audio of one manifest line at its sample rate; what is longer than the mixture is cut to it.

    Raises:
        InvalidAudioError: a file cannot be read, or the target is silent.
    """
    mixed = load_waveform(mixture.mixture, mixture.sample_rate)
    target = None
    if mixture.target is not None:
        target = load_waveform(mixture.target, mixture.sample_rate)[: len(mixed)]
        if not np.any(target):
            raise InvalidAudioError(
                f"{mixture.target}: got a silent target, expected a voice; "
                "write null for the target where nobody continues the history"
            )
    interferers = tuple(
        load_waveform(path, mixture.sample_rate)[: len(mixed)] for path in mixture.interferers
    )
    return Signals(mixture=mixed, target=target, interferers=interferers, sample_rate=mixture.sample_rate)


def at_rate(waveform: np.ndarray, from_hz: int, signals: Signals) -> np.ndarray:
    """An extractor's waveform (T′,) at `from_hz` as (T,) at the rate of the signals.

    What is too short is completed with silence: an extractor that loses the tail has to pay for it.

    Raises:
        InvalidAudioError: the waveform holds NaN or infinity.
    """
    waveform = np.asarray(waveform, np.float32)
    if not np.isfinite(waveform).all():
        raise InvalidAudioError(
            "the extractor returned NaN or infinity, expected finite samples; try another model"
        )
    if from_hz != signals.sample_rate:
        waveform = resample(waveform, from_hz, signals.sample_rate)
    return fit_length(waveform, len(signals.mixture))


def score_extraction(row: ItemResult, extraction: Extraction, signals: Signals) -> np.ndarray:
    """Fill `row` with what the extractor said and what its estimate scores; returns the estimate (T,).

    Each comparison runs over the length of the reference alone, so that padding never enters a number. Where
    the target is absent there is nothing to compare with: the item is right when the extractor says so.
    """
    estimate = at_rate(extraction.waveform, extraction.sample_rate, signals)
    row.probability = _finite(extraction.probability)
    row.target_present = bool(extraction.target_present)
    row.abstained = bool(extraction.abstained)
    row.warnings = list(extraction.warnings)
    row.turn_attribution = extraction.turn_attribution
    candidates = list(extraction.candidates or ())
    row.p_none = _none_of(candidates)
    if candidates:
        row.talkers_found = extraction.to_dict()["talkers"]
    row.transcript = _chosen_transcript(candidates)
    waveforms = [at_rate(one.waveform, extraction.sample_rate, signals) for one in candidates]
    target = signals.target
    row.candidates = [
        CandidateResult(
            probability=_finite(one.probability),
            si_sdr_db=None if target is None else measure.si_sdr_over_reference(waveform, target),
            transcript=one.transcript,
        )
        for one, waveform in zip(candidates, waveforms, strict=True)
    ]
    if target is None:
        row.right = not row.target_present
    else:
        _score_against_target(row, estimate, target, signals)
    return estimate


def _score_against_target(
    row: ItemResult, estimate: np.ndarray, target: np.ndarray, signals: Signals
) -> None:
    length = len(target)
    mixture_si_sdr_db = measure.si_sdr(signals.mixture[:length], target)
    row.si_sdr_db = measure.si_sdr(estimate[:length], target)
    row.si_sdri_db = row.si_sdr_db - mixture_si_sdr_db
    row.sdr_db = measure.sdr(estimate[:length], target)
    row.sdri_db = row.sdr_db - measure.sdr(signals.mixture[:length], target)
    row.right = measure.is_right(estimate, target, signals.interferers)
    if row.alone:
        row.input_si_sdr_db = measure.si_sdr(estimate, signals.mixture)
    if signals.interferers:
        nearest = max(measure.si_sdr_over_reference(estimate, one) for one in signals.interferers)
        row.interferer_si_sdr_db = nearest
        row.hedged = abs(row.si_sdr_db - nearest) < measure.HEDGING_MARGIN_DB
    scores = [one.si_sdr_db for one in row.candidates if one.si_sdr_db is not None]
    if scores:
        row.separation_si_sdri_db = max(scores) - mixture_si_sdr_db


def score_extras(
    row: ItemResult,
    estimate: np.ndarray,
    signals: Signals,
    *,
    metrics: frozenset[str],
    target_text: str | None,
    transcriber: Transcriber | None,
) -> None:
    """Add PESQ, STOI and word errors of the estimate (T,), those in `metrics`; absent targets have none.

    Words come from `transcriber` where one is given, else from the extractor's own transcript of its choice.
    """
    if signals.target is None:
        return
    length = len(signals.target)
    if "pesq" in metrics:
        row.pesq = measure.pesq(estimate[:length], signals.target, signals.sample_rate)
    if "stoi" in metrics:
        row.stoi = measure.stoi(estimate[:length], signals.target, signals.sample_rate)
    if "wer" in metrics:
        if transcriber is not None:
            row.transcript = transcriber.transcribe(estimate, signals.sample_rate).text
        if target_text and row.transcript is not None:
            row.word_errors = count_word_errors(row.transcript, target_text)
            row.wer = row.word_errors.rate


def _chosen_transcript(candidates: Sequence[Any]) -> str | None:
    if not candidates:
        return None
    return max(
        candidates, key=lambda one: one.probability if one.probability is not None else -1.0
    ).transcript


def _none_of(candidates: Sequence[Any]) -> float | None:
    """Probabilities of the candidates and of "none of them" sum to 1; None where one is not stated."""
    stated = [_finite(one.probability) for one in candidates]
    known = [probability for probability in stated if probability is not None]
    return max(0.0, 1 - sum(known)) if known and len(known) == len(stated) else None


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
