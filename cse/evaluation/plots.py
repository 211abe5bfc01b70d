"""Pictures: spectrograms on one scale, risk against coverage, accuracy by turns of history, reliability.

Figures are made as objects and rendered by Agg: no window, no state shared between threads. Needs matplotlib.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cse.errors import ConfigError, MissingExtraError
from cse.evaluation.statistics import ReliabilityBin, RiskCoverage
from cse.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DYNAMIC_RANGE_DB = 60.0
WINDOW_S = 0.032
MAX_COLUMNS = 2000  # more spectra than pixels only cost memory


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a plot on a light or a dark page."""

    background: str
    text: str
    grid: str
    line: str
    accent: str


LIGHT = Theme(background="#ffffff", text="#24292f", grid="#d8dee4", line="#0b62c4", accent="#c2410c")
DARK = Theme(background="#161b22", text="#d0d7de", grid="#30363d", line="#6cb6ff", accent="#f69d50")


def spectrogram_db(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Power of a waveform (T,) in dB over frequency and time, (F, L): windows of 32 ms, 8 ms apart or more.

    F spans 0 to half the sample rate, L spans the waveform; a full-scale sine is about 0 dB.

    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> power = spectrogram_db(tone, 16000)
    >>> power.shape[0], int(power[:, 50].argmax()) * 16000 // 512, round(float(power.max()))
    (257, 1000, 0)
    """
    size = 2 * round(WINDOW_S * sample_rate / 2)
    hop = max(size // 4, len(waveform) // MAX_COLUMNS)
    padded = np.pad(np.asarray(waveform, np.float32), (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: max(1, hop)]
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    spectrum = np.fft.rfft(frames[: 1 + len(waveform) // max(1, hop)] * window, axis=1)
    power = (np.abs(spectrum) / (window.sum() / 2)) ** 2
    return 10 * np.log10(np.maximum(power.T, 1e-20))


def save_spectrograms(
    path: str | os.PathLike[str],
    waveforms: Mapping[str, np.ndarray],
    sample_rate: int,
    *,
    brought: Sequence[tuple[str, float]] = (),
    theme: Theme = LIGHT,
) -> None:
    """Draw waveforms (T,), one below the other, on one time axis and one dB scale, as a PNG.

    Args:
        path: the file to write; it is there completely or not at all.
        waveforms: title to waveform, drawn in this order; all of one sample rate, lengths may differ.
        sample_rate: in Hz.
        brought: turns of a history and what each brought to the choice in log-odds; drawn as bars below.
        theme: Colours around the spectrograms.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError: there is no waveform to draw.
    """
    if not waveforms or any(len(waveform) == 0 for waveform in waveforms.values()):
        raise ConfigError(
            "got no audio to draw a spectrogram of, expected at least one waveform with samples"
        )
    powers = {title: spectrogram_db(waveform, sample_rate) for title, waveform in waveforms.items()}
    # the few loudest cells, low harmonics of vowels, would leave everything else dark
    loud_db = max(float(np.percentile(power, 99.8)) for power in powers.values())
    longest_s = max(len(waveform) for waveform in waveforms.values()) / sample_rate
    heights_in = [0.55 + 1.75 * len(powers)] + ([0.8 + 0.3 * len(brought)] if brought else [])
    whole = _figure(9.0, sum(heights_in), theme, dpi=110)
    from matplotlib import colormaps

    parts = whole.subfigures(len(heights_in), 1, height_ratios=heights_in, squeeze=False)[:, 0]
    figure = parts[0]
    figure.set_facecolor(theme.background)

    colors = colormaps["magma"].resampled(160)  # few enough for `_save` to keep each of them
    panels = figure.subplots(len(powers), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (title, power) in zip(panels, powers.items(), strict=True):
        image = axes.imshow(
            power - loud_db,
            origin="lower",
            aspect="auto",
            interpolation="bilinear",
            interpolation_stage="data",  # colours stay those of the map
            cmap=colors,
            vmin=-DYNAMIC_RANGE_DB,
            vmax=0,
            extent=(0, len(waveforms[title]) / sample_rate, 0, sample_rate / 2000),
        )
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=theme.text, parse_math=False)
        axes.set_ylabel("kHz", color=theme.text)
        axes.set_xlim(0, longest_s)
        axes.set_facecolor("black")
        axes.tick_params(colors=theme.text)
    panels[-1].set_xlabel("seconds", color=theme.text)
    bar = figure.colorbar(image, ax=list(panels), pad=0.012, fraction=0.03, extend="max")
    bar.set_label("dB", color=theme.text)
    bar.ax.tick_params(colors=theme.text)
    if brought:
        _draw_turns(parts[1], brought, theme)
    _save(whole, path)


def _draw_turns(figure: Any, brought: Sequence[tuple[str, float]], theme: Theme) -> None:
    """Bars from a middle line, oldest turn first: to the right what spoke for the choice, to the left what against."""
    figure.set_facecolor(theme.background)
    axes = figure.subplots()
    _style(axes, theme)
    values = [value for _, value in brought]
    axes.barh(
        range(len(values)), values, color=[theme.line if value >= 0 else theme.accent for value in values]
    )
    labels = [f"{shorten(text, 60)}  {value:+.2f}" for text, value in brought]
    axes.set_yticks(range(len(values)), labels, parse_math=False)
    axes.invert_yaxis()
    axes.axvline(0, color=theme.text, linewidth=1)
    reach = 1.1 * max(1.0, *map(abs, values))
    axes.set_xlim(-reach, reach)
    axes.set_xlabel("what each turn brought to the choice, in log-odds", color=theme.text)


def shorten(text: str, most: int) -> str:
    """The beginning of a text, at most so many characters.

    >>> shorten("Where shall we meet?", 12)
    'Where shall…'
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def save_risk_coverage(path: str | os.PathLike[str], curve: RiskCoverage, *, theme: Theme = LIGHT) -> None:
    """Draw the share of wrong voices among those answered against the share answered, as a PNG."""
    figure, axes = _plot("answered (coverage)", "wrong among the answered (risk)", theme)
    coverage = np.concatenate([[0.0], curve.coverage])
    risk = np.concatenate([curve.risk[:1], curve.risk])
    axes.step(coverage, risk, where="pre", color=theme.line, linewidth=2)
    axes.plot(curve.coverage[-1:], curve.risk[-1:], "o", color=theme.accent, label="answering always")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, max(0.1, 1.15 * float(risk.max(initial=0.0))))
    _percent(axes, x=True, y=True)
    _legend(axes, theme, where="upper left")
    _save(figure, path)


def save_accuracy_by_turns(
    path: str | os.PathLike[str],
    groups: Mapping[str, Mapping[str, Any]],
    *,
    chance: float | None = None,
    theme: Theme = LIGHT,
) -> None:
    """Draw the selection accuracy of each group in `by_history_turns` with its 95 % interval, as a PNG.

    `chance` is the accuracy of a blind choice, 0 to 1, drawn as a line.
    """
    figure, axes = _plot("turns of history", "right voice", theme)
    accuracy = np.array([group["selection_accuracy"] for group in groups.values()])
    bounds = np.array([group["selection_accuracy_ci95"] for group in groups.values()]).reshape(-1, 2)
    places = np.arange(len(groups))
    # a bound may differ from the accuracy by rounding where both are 0 or 1
    lengths = np.maximum(0, np.abs(bounds.T - accuracy))
    axes.errorbar(
        places, accuracy, yerr=lengths, fmt="o", color=theme.line, capsize=4, markersize=7, linewidth=1.5
    )
    if chance is not None:
        axes.axhline(chance, color=theme.accent, linewidth=1, linestyle="--", label="by chance")
        _legend(axes, theme, where="lower right")
    labels = [f"{label}\nn = {group['n']}" for label, group in groups.items()]
    axes.set_xticks(places, labels)
    axes.set_xlim(-0.5, max(0.5, len(groups) - 0.5))
    axes.set_ylim(-0.03, 1.05)
    _percent(axes, x=False, y=True)
    _save(figure, path)


def save_reliability(
    path: str | os.PathLike[str], bins: Sequence[ReliabilityBin], *, theme: Theme = LIGHT
) -> None:
    """Draw what came true against what was stated, per bin, as a PNG; dots grow with their items."""
    figure, axes = _plot("stated probability", "right voice", theme)
    total = sum(one.count for one in bins)
    stated = [one.mean_probability for one in bins]
    came_true = [one.share_right for one in bins]
    axes.plot([0, 1], [0, 1], color=theme.accent, linewidth=1, linestyle="--", label="honest")
    axes.plot(stated, came_true, color=theme.line, linewidth=1, alpha=0.6)
    axes.scatter(
        stated,
        came_true,
        s=[30 + 300 * one.count / max(1, total) for one in bins],
        color=theme.line,
        zorder=3,
    )
    for one in bins:
        axes.annotate(
            str(one.count),
            (one.mean_probability, one.share_right),
            textcoords="offset points",
            xytext=(11, -11),
            fontsize=8,
            color=theme.text,
        )
    axes.set_xlim(-0.03, 1.05)
    axes.set_ylim(-0.03, 1.05)
    _percent(axes, x=True, y=True)
    _legend(axes, theme, where="upper left")
    _save(figure, path)


def save_roc(
    path: str | os.PathLike[str], false_alarms: np.ndarray, found: np.ndarray, *, theme: Theme = LIGHT
) -> None:
    """Draw the share found against the share of false alarms, both (K,), as a PNG; 10 % is marked."""
    figure, axes = _plot("false alarms", "absent targets noticed", theme)
    axes.step(false_alarms, found, where="post", color=theme.line, linewidth=2)
    axes.plot([0, 1], [0, 1], color=theme.grid, linewidth=1, label="by chance")
    axes.axvline(0.1, color=theme.accent, linewidth=1, linestyle="--", label="10 % false alarms")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.03, 1.05)
    _percent(axes, x=True, y=True)
    _legend(axes, theme, where="lower right")
    _save(figure, path)


def _figure(width_in: float, height_in: float, theme: Theme, *, dpi: int) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(feature="plotting", extra="metrics", package="matplotlib") from error
    return Figure(figsize=(width_in, height_in), dpi=dpi, layout="constrained", facecolor=theme.background)


def _plot(x_label: str, y_label: str, theme: Theme) -> tuple[Figure, Axes]:
    figure = _figure(3.8, 3.0, theme, dpi=170)
    axes = figure.subplots()
    _style(axes, theme)
    axes.set_xlabel(x_label, color=theme.text)
    axes.set_ylabel(y_label, color=theme.text)
    return figure, axes


def _style(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.background)
    axes.tick_params(colors=theme.text)
    axes.grid(color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.grid)


def _percent(axes: Axes, *, x: bool, y: bool) -> None:
    from matplotlib.ticker import PercentFormatter

    if x:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if y:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _legend(axes: Axes, theme: Theme, *, where: Literal["upper left", "lower right"]) -> None:
    axes.legend(loc=where, frameon=False, labelcolor=theme.text, fontsize=9)


@contextmanager
def _quiet_fonts() -> Iterator[None]:
    """A title in a script that the font lacks becomes boxes, without a warning per character."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Render the figure to a PNG of 256 colours: a third of the size, and no difference one could see."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image  # matplotlib needs it too

    canvas = FigureCanvasAgg(figure)
    with _quiet_fonts():
        canvas.draw()
    image = (
        Image.fromarray(np.asarray(canvas.buffer_rgba()))
        .convert("RGB")
        .quantize(256, dither=Image.Dither.NONE)
    )
    with atomic_write(path) as beside:
        image.save(beside, format="PNG", optimize=True)
