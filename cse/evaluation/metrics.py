"""How close an estimate is to the voice it should be, and whether it is the right voice at all.

All signals are (T,) floating point waveforms of one sample rate. Decibel values are always finite: they are
clipped to ±`LIMIT_DB`, and a silent estimate or a silent reference gives −`LIMIT_DB`, because nothing of the
reference is in the estimate then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.fft import next_fast_len
from scipy.linalg import solve_toeplitz

from cse.audio import resample
from cse.errors import InvalidAudioError, MissingExtraError

LIMIT_DB = 100.0  # beyond what 16-bit files can hold; a perfect estimate would be infinite otherwise
HEDGING_MARGIN_DB = 3.0
BSS_EVAL_TAPS = 512
PESQ_WINDOW_S = 20.0  # P.862 was validated on 8 to 12 s, and the package crashes on recordings of two minutes


def si_sdr(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Energy of the reference found in the estimate over all else in it, in dB, whatever the level of either.

    Both are (T,); their means are removed first. Le Roux et al., "SDR – half-baked or well done?", 2019.

    Raises:
        InvalidAudioError: the two are not of the same length, are empty, or hold NaN or infinity.

    >>> time = np.arange(8000) / 8000
    >>> tone, other = np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 1000 * time)
    >>> round(si_sdr(tone + 0.1 * other, tone), 6)
    20.0
    >>> si_sdr(0.5 * tone, tone), si_sdr(0 * tone, tone)
    (100.0, -100.0)
    """
    estimate, reference = _pair(estimate, reference)
    estimate, reference = _centre(estimate), _centre(reference)
    reference_energy = float(reference @ reference)
    if reference_energy == 0:
        return -LIMIT_DB
    found = (float(estimate @ reference) / reference_energy) * reference
    return _ratio_db(found, estimate - found)


def si_sdri(estimate: np.ndarray, reference: np.ndarray, mixture: np.ndarray) -> float:
    """By how many dB the SI-SDR of the estimate beats that of the untouched mixture; all three are (T,)."""
    return si_sdr(estimate, reference) - si_sdr(mixture, reference)


def sdr(estimate: np.ndarray, reference: np.ndarray, *, taps: int = BSS_EVAL_TAPS) -> float:
    """Like SI-SDR, but any filter of `taps` taps on the reference is forgiven: BSS-Eval v3's SDR, in dB.

    The estimate (T,) is projected on the reference and its delays by 0 … taps − 1 samples; what lies outside
    of that span is distortion. The other talkers have no part in it. Vincent et al., "Performance measurement
    in blind audio source separation", 2006. A simulated target that is dry while the mixture is reverberant
    is why one asks.

    Raises:
        InvalidAudioError: as `si_sdr`.

    >>> rng = np.random.default_rng(0)
    >>> voice = rng.standard_normal(4000)
    >>> echoed = voice + 0.7 * np.concatenate([np.zeros(40), voice[:-40]])
    >>> si_sdr(echoed, voice) < 4, sdr(echoed, voice) > 15
    (True, True)
    """
    estimate, reference = _pair(estimate, reference)
    if not np.any(reference) or not np.any(estimate):
        return -LIMIT_DB
    estimate, reference = estimate / np.abs(estimate).max(), reference / np.abs(reference).max()
    length = len(estimate) + taps - 1
    size = next_fast_len(length, real=True)  # no shorter: circular correlation would wrap into the lags used
    reference_spectrum = np.fft.rfft(reference, size)
    estimate_spectrum = np.fft.rfft(estimate, size)
    autocorrelation = np.fft.irfft(np.abs(reference_spectrum) ** 2, size)[:taps]
    correlation = np.fft.irfft(estimate_spectrum * reference_spectrum.conj(), size)[:taps]
    # a loading far below the noise of 16-bit audio keeps references with empty bands (codecs, tones) solvable
    autocorrelation[0] *= 1 + 1e-12
    filter_taps = solve_toeplitz(autocorrelation, correlation)
    found = np.fft.irfft(reference_spectrum * np.fft.rfft(filter_taps, size), size)[:length]
    return _ratio_db(found, np.pad(estimate, (0, taps - 1)) - found)


def is_right(estimate: np.ndarray, target: np.ndarray, interferers: Sequence[np.ndarray]) -> bool:
    """Whether the estimate is nearer in SI-SDR to the target than to every interferer: the rule of the paper.

    Kim et al., arXiv 2503.08798. A tie is not right. With no interferer at all every estimate is.

    >>> target, interferer = np.random.default_rng(0).standard_normal((2, 4000))
    >>> is_right(target + 0.9 * interferer, target, [interferer]), is_right(interferer, target, [interferer])
    (True, False)
    """
    to_target = si_sdr_over_reference(estimate, target)
    return all(to_target > si_sdr_over_reference(estimate, interferer) for interferer in interferers)


def si_sdr_over_reference(estimate: np.ndarray, reference: np.ndarray) -> float:
    """SI-SDR in dB over the reference's own length, so that padding behind a shorter voice never enters.

    `estimate` is (T,), `reference` (up to T,); a reference longer than the estimate is cut.
    """
    length = min(len(estimate), len(reference))
    return si_sdr(estimate[:length], reference[:length])


def pesq(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> float | None:
    """Predicted listening quality, 1 (bad) to 4.6 (transparent): ITU-T P.862.2 at 16 kHz, P.862 at 8 kHz.

    Rates of 16 kHz and more are resampled to 16 kHz (wide band), lower ones to 8 kHz (narrow band); the two
    scales do not compare. Recordings over `PESQ_WINDOW_S` are scored in equal windows of at most that, and
    averaged. None where PESQ finds no speech in the reference or the estimate.

    Raises:
        MissingExtraError: the package `pesq` is not installed.
        InvalidAudioError: as `si_sdr`.
    """
    try:
        import pesq as backend
    except ImportError as error:
        raise MissingExtraError(feature="PESQ", extra="metrics", package="pesq") from error
    estimate, reference = _pair(estimate, reference)
    rate_hz, mode = (16_000, "wb") if sample_rate >= 16_000 else (8_000, "nb")
    if sample_rate != rate_hz:
        estimate, reference = (resample(signal, sample_rate, rate_hz) for signal in (estimate, reference))
    windows = max(1, int(np.ceil(len(reference) / (PESQ_WINDOW_S * rate_hz))))
    scores = []
    for degraded, clean in zip(
        np.array_split(estimate, windows), np.array_split(reference, windows), strict=True
    ):
        if not np.any(degraded):
            continue  # the package divides by the level of the estimate
        try:
            scores.append(float(backend.pesq(rate_hz, clean, degraded, mode)))
        except (backend.NoUtterancesError, backend.BufferTooShortError):
            continue  # a pause, or less than a quarter of a second: nothing to judge
    return float(np.mean(scores)) if scores else None


def stoi(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> float | None:
    """Predicted intelligibility, 0 to 1: Taal et al., "An algorithm for intelligibility prediction…", 2011.

    None where the reference holds less than about 0.4 s of speech, too little for one STOI segment.

    Raises:
        MissingExtraError: the package `pystoi` is not installed.
        InvalidAudioError: as `si_sdr`.
    """
    try:
        import pystoi
    except ImportError as error:
        raise MissingExtraError(feature="STOI", extra="metrics", package="pystoi") from error
    import warnings

    estimate, reference = _pair(estimate, reference)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
        try:
            score = float(pystoi.stoi(reference, estimate, sample_rate))
        except (RuntimeWarning, ValueError):  # ValueError: not even one frame of speech
            return None
    return score if np.isfinite(score) else None


def _pair(estimate: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both signals as float64, checked."""
    estimate, reference = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    if estimate.ndim != 1 or estimate.shape != reference.shape or estimate.size == 0:
        raise InvalidAudioError(
            f"metrics compare two waveforms of one length, got an estimate of shape {estimate.shape} and a "
            f"reference of shape {reference.shape}; cut both to the length of the shorter one"
        )
    for name, signal in (("estimate", estimate), ("reference", reference)):
        if not np.isfinite(signal).all():
            raise InvalidAudioError(
                f"the {name} holds NaN or infinity, expected finite samples; mend it before scoring"
            )
    return estimate, reference


def _centre(signal: np.ndarray) -> np.ndarray:
    """The signal at peak 1 without its mean; zeros where nothing but rounding error is left."""
    peak = np.abs(signal).max()
    if peak == 0:
        return signal
    scaled = signal / peak
    centred = scaled - scaled.mean()
    return centred if centred @ centred > 1e-20 * (scaled @ scaled) else np.zeros_like(signal)


def _ratio_db(found: np.ndarray, residual: np.ndarray) -> float:
    """Energy of `found` over energy of `residual` in dB, within ±LIMIT_DB."""
    found_energy, residual_energy = float(found @ found), float(residual @ residual)
    if found_energy == 0:
        return -LIMIT_DB
    if residual_energy == 0:
        return LIMIT_DB
    return float(np.clip(10 * np.log10(found_energy / residual_energy), -LIMIT_DB, LIMIT_DB))
