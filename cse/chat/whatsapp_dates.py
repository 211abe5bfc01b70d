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


def date_order(headers: Iterable[Header]) -> Order:
    """The order in which all dates exist; else the one in which time runs backwards least often.

    Stops reading when only one order is left. Where nothing tells, a 12-hour clock with slashes and no zeros in
    front is American, and everything else has the day first.
    """
    orders = [DAY_FIRST, MONTH_FIRST]
    last: dict[Order, date] = {}
    backwards = dict.fromkeys(orders, 0)
    american = False
    previous = None
    for number, header in enumerate(headers):
        if header.digits[0] == 4:
            return YEAR_FIRST
        if number == 0:
            american = (
                header.half_day and header.shape[1] == "/" and header.digits[1] == 2 and header.digits[0] == 1
            )
        if header.numbers == previous:
            continue
        previous = header.numbers
        days = {order: day_of(header.numbers, order) for order in orders}
        possible = [order for order in orders if days[order] is not None]
        if len(possible) == 1:
            return possible[0]
        for order, day in days.items():
            if day is not None:
                backwards[order] += order in last and day < last[order]
                last[order] = day
        if not possible and header.numbers[0] > 31:
            return YEAR_FIRST
    if backwards[DAY_FIRST] == backwards[MONTH_FIRST]:
        return MONTH_FIRST if american else DAY_FIRST
    return min(orders, key=backwards.__getitem__)


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
