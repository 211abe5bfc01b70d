"""One example in words: what each turn of the history brought to the choice, and what each candidate is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import zip_longest

from cse.evaluation.examples import Example
from cse.evaluation.items import ItemResult
from cse.evaluation.markup import decibels, percent
from cse.history import Turn

SHOWN_TURNS = 6
FULL_BAR = 0.5
"""Log-odds of the longest bar, unless a turn of the example brought more."""


def history_list(history: Sequence[Turn], attribution: Sequence[float] | None) -> str:
    """The last turns, each with a bar: to the right where it spoke for the chosen voice, to the left where against."""
    if not history:
        return '<p class="faint">No history was given.</p>'
    shares = list(attribution) if attribution is not None else []
    scale = max([FULL_BAR, *map(abs, shares)])
    earlier = len(history) - min(SHOWN_TURNS, len(history))
    rows = [
        f"<li>{_said(turn)}{_bar(share, scale)}</li>"
        for turn, share in zip_longest(history[earlier:], shares[earlier:])
    ]
    before = ""
    if earlier:
        words = f"{earlier} earlier turn{'s' if earlier > 1 else ''}"
        before = f'<p class="turn faint"><span>{words}</span>{_bar(sum(shares[:earlier]), scale) if shares else ""}</p>'
    return f'{before}<ol class="turns" start="{earlier + 1}">{"".join(rows)}</ol>'


def candidate_rows(row: ItemResult) -> str:
    """A row for each talker that was found, the chosen one marked, and one for "nobody"."""
    stated = [one.probability if one.probability is not None else -1.0 for one in row.candidates]
    chosen = stated.index(max(stated)) if stated else None
    rows = []
    for number, one in enumerate(row.candidates):
        mark, kind = ("returned", ' class="chosen"') if number == chosen else ("", "")
        near = "" if one.si_sdr_db is None else f"{decibels(one.si_sdr_db)} to the target"
        heard = "nothing understood" if one.transcript == "" else one.transcript
        words = '<span class="faint">not transcribed</span>' if heard is None else escape(heard)
        rows.append(
            f"<tr{kind}><td>{number + 1} <span>{mark}</span></td>{_probability(one.probability)}"
            f'<td>{words}<br><span class="faint">{near}</span></td></tr>'
        )
    if row.p_none is not None:
        rows.append(f'<tr><td>nobody</td>{_probability(row.p_none)}<td class="faint"></td></tr>')
    return "".join(rows)


def explanation(example: Example) -> str:
    """History and candidates side by side, and below them what was really said."""
    row, mixture = example.row, example.mixture
    history = list(example.history or ())
    said = [
        *([("target", mixture.target_text)] if mixture.target_text else []),
        *(("interferer", text) for text in mixture.interferer_texts if text),
    ]
    truth = "".join(f"<dt>{escape(who)} said</dt><dd>{escape(text)}</dd>" for who, text in said)
    legend = "what it brought to the choice, in log-odds" if row.turn_attribution and history else ""
    return (
        '<div class="explained">'
        f'<section><h4>History <span class="faint">{len(history)} turns</span><span class="faint">{legend}</span></h4>'
        f"{history_list(history, row.turn_attribution)}</section>"
        '<section><h4>Candidates</h4><table class="candidates"><tbody>'
        f"{candidate_rows(row)}</tbody></table><dl>{truth}</dl></section></div>"
    )


def _said(turn: Turn | None) -> str:
    if turn is None:
        return "<span></span>"
    speaker = f"<b>{escape(turn.speaker)}:</b> " if turn.speaker else ""
    return f"<span>{speaker}{escape(turn.text)}</span>"


def _bar(share: float | None, scale: float) -> str:
    """A bar from the middle of its track, and the number with its sign; nothing where nothing was asked."""
    if share is None:
        return ""
    kind = "for" if share >= 0 else "against"
    width = 100 * min(1.0, abs(share) / scale)
    return (
        f'<span class="brought {kind}"><span class="track"><i style="width:{width / 2:.1f}%"></i></span>'
        f"<span>{f'{share:+.2f}'.replace('-', '−')}</span></span>"
    )


def _probability(value: float | None) -> str:
    width = 100 * (value or 0.0)
    return (
        f'<td class="number probability"><span><span class="track"><i style="width:{width:.1f}%"></i></span>'
        f"<span>{percent(value)}</span></span></td>"
    )
