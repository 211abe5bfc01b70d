"""How well a score tells two kinds of items apart: recordings without the target from those with it."""

from __future__ import annotations

import numpy as np


def found_at_false_alarms(positive: np.ndarray, negative: np.ndarray, rate: float) -> float:
    """Share of the positive items found by the lowest threshold that raises at most `rate` false alarms.

    An item is found, or a false alarm raised, where its score is above the threshold. Few negative items leave little
    room: of nine, none may be a false alarm at 10 %.

    Args:
        positive: (P,) scores of the items to find, P ≥ 1; high means "is one".
        negative: (N,) scores of the others, N ≥ 1.
        rate: largest share of `negative` above the threshold, 0 to 1.

    >>> found_at_false_alarms(np.array([0.9, 0.6, 0.2]), np.linspace(0, 0.7, 10), 0.1)
    0.3333333333333333
    >>> found_at_false_alarms(np.array([0.9, 0.65, 0.2]), np.linspace(0, 0.7, 10), 0.1)
    0.6666666666666666
    """
    allowed = int(np.floor(rate * len(negative) + 1e-9))
    if allowed >= len(negative):
        return 1.0
    threshold = np.sort(negative)[::-1][allowed]  # so many are above it at most: ties with it are not
    return float((positive > threshold).mean())


def area_under_roc(positive: np.ndarray, negative: np.ndarray) -> float:
    """How often a positive item has the higher score of a pair, ties by half: 0.5 is a guess, 1 never errs.

    Hanley and McNeil, "The meaning and use of the area under a ROC curve", 1982. Scores as in `found_at_false_alarms`.

    >>> area_under_roc(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
    0.875
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).mean() / (2 * len(ordered)))


def roc_curve(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False alarms and found items, both (K,) shares from 0 to 1, for every threshold from the highest to the lowest.

    >>> false_alarms, found = roc_curve(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
    >>> false_alarms.tolist(), found.tolist()
    ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0])
    """
    thresholds = np.unique(np.concatenate([positive, negative]))[::-1]
    shares = [
        np.searchsorted(np.sort(-scores), -thresholds, side="right") / len(scores)
        for scores in (negative, positive)
    ]
    false_alarms, found = (np.concatenate([[0.0], share]) for share in shares)
    return false_alarms, found
