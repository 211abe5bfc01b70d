"""Which number of a date is the day: decided over a whole export, as `3/4/24` alone says nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from cse.chat.whatsapp_header import Header

Order = tuple[int, int, int]  # where year, month and day are
DAY_FIRST: Order = (2, 1, 0)
MONTH_FIRST: Order = (2, 0, 1)
YEAR_FIRST: Order = (0, 1, 2)
_FASTER = 30  # by how much time runs faster where a year was taken for a day


def date_order(headers: Iterable[Header]) -> Order:
    """The order in which all dates exist; else the one in which time runs backwards least often.

    Stops reading when only one order is left. Where nothing tells, the country that the first header looks like
    decides (see `_likely`).
    """
    left = [DAY_FIRST, MONTH_FIRST, YEAR_FIRST]
    first: dict[Order, date] = {}
    last: dict[Order, date] = {}
    backwards = dict.fromkeys(left, 0)
    start = previous = None
    for header in headers:
        start = start or header
        if header.digits[0] == 4:
            return YEAR_FIRST
        if header.numbers == previous:
            continue
        previous = header.numbers
        days = {order: day for order in left if (day := day_of(header.numbers, order)) is not None}
        if not days and header.numbers[0] > 31:
            return YEAR_FIRST
        left = list(days) or left
        if len(left) == 1:
            return left[0]
        for order, day in days.items():
            backwards[order] += day < last.get(order, day)
            first.setdefault(order, day)
            last[order] = day
    if start is None or not last:
        return DAY_FIRST
    best = min((order for order in _likely(start) if order in left), key=backwards.__getitem__)
    if YEAR_FIRST in left and backwards[YEAR_FIRST] == backwards[best]:
        # days that follow one another are years apart if their year is taken for the day
        span, other = (last[order] - first[order] for order in (YEAR_FIRST, best))
        return YEAR_FIRST if span * _FASTER < other else best
    return best


def _likely(header: Header) -> tuple[Order, ...]:
    """All orders, the likeliest first.

    A 12-hour clock of AM and PM with slashes, no zeros in front and a year of two digits is American. The same clock
    of other letters (`p. m.` in Spain, `pm` in Australia) stands behind a day.
    """
    if header.year_first:
        return YEAR_FIRST, DAY_FIRST, MONTH_FIRST
    short = header.digits[2] == 2 and 1 in header.digits[:2]
    american = header.half_day in ("AM", "PM") and header.shape[1] == "/" and short
    return (MONTH_FIRST, DAY_FIRST, YEAR_FIRST) if american else (DAY_FIRST, MONTH_FIRST, YEAR_FIRST)


@lru_cache(maxsize=1024)  # there are many messages on a day
def day_of(numbers: tuple[int, int, int], order: Order) -> date | None:
    """The day of a date as it is written; None where there is no such day, or not in the calendar of WhatsApp's years.

    Two digits are a year of this century; Thai phones count from the Buddha.
    """
    year, month, day = (numbers[place] for place in order)
    year += 2000 if year < 100 else -543 if year > 2500 else 0
    try:
        return date(year, month, day) if 2009 <= year <= 2100 else None
    except ValueError:
        return None


def time_of(header: Header, order: Order) -> str | None:
    """ISO 8601 as the phone showed it; None where the order makes no date of it."""
    day = day_of(header.numbers, order)
    if day is None:
        return None
    hour, minute, second = header.clock
    return f"{day.isoformat()}T{hour:02d}:{minute:02d}" + ("" if second is None else f":{second:02d}")
