"""How a message begins in a WhatsApp export: date, clock and brackets of the phone's country.

    iOS        [01.03.24, 14:05:33] Ana: …
    Android    3/1/24, 2:05 PM - Ana: …
    copied     [14:05, 01/03/2024] Ana: …

Digits may be Arabic or Indic, blanks may be U+00A0, U+202F or U+2009, and marks of the writing direction may be
anywhere.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

MARKS = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
# no more of them than phones write, and none given back: what strangers send must not be tried in every way
_M = f"[{MARKS}]{{0,8}}+"
_DATE = (
    rf"(?P<a>\d{{1,4}}){_M}\s?(?P<separator>[./-]|年|년){_M}\s?{_M}"
    rf"(?P<b>\d{{1,2}}){_M}(?:[./-]|月|월){_M}\s?{_M}(?P<c>\d{{1,4}}){_M}"
)
# hours and minutes are parted by a colon, a full stop (Finnish, Indonesian) or "h" (Canadian French)
_CLOCK = r"(?P<hour>\d{1,2})(?:[:.]|\s?h\s?)(?P<minute>\d{2})(?:[:.](?P<second>\d{2}))?"
_BETWEEN = r"(?P<before>[^\d\[\]:\n]{1,20}?)"
_AFTER = r"(?P<after>[^\d\[\]:\n]{0,20}?)"
_LAYOUTS = {
    "ios": re.compile(rf"{_M}\[{_M}{_DATE}{_BETWEEN}{_CLOCK}{_AFTER}\]\s?"),
    "copied": re.compile(rf"{_M}\[{_M}{_CLOCK}(?P<after>[^\d\[\]:\n]{{0,20}}?),\s(?P<before>){_DATE}\]\s?"),
    "android": re.compile(rf"{_M}{_DATE}{_BETWEEN}{_CLOCK}{_AFTER}\s[-–]\s"),
    "old ios": re.compile(rf"{_M}{_DATE}{_BETWEEN}{_CLOCK.replace(')?', ')')}{_AFTER}:\s"),
}
_SEPARATORS_OF_WORDS = re.compile(rf"[\s.,،、{MARKS}]+")

# Half days by their names in exports, without blanks and full stops, in small letters.
_PM = frozenset(
    "pm م مساء مساءً 下午 午後 오후 晚上 中午 अपराह्न शाम μμ em ip ptg du ös ch بظ بعدازظهر odp pop nachm หลังเที่ยง "
    "অপরাহ্ণ பிற்பகல் సాయంత్రం".split()
)
# a word that is in neither is left alone: the hour is then what stands there
_AM = frozenset(
    "am ص صباحا صباحًا 上午 午前 오전 凌晨 早上 清晨 पूर्वाह्न सुबह πμ fm ap pg de öö sa قظ قبلازظهر dop vorm "
    "ก่อนเที่ยง পূর্বাহ্ণ முற்பகல் ఉదయం".split()
)

_EAST_ASIAN = re.compile("[\u4e00-\u9fff\uac00-\ud7a3]")


class Header(NamedTuple):
    """The beginning of one message.

    Attributes:
        shape: What stays the same over one export: layout, what parts the date, whether there are seconds.
        numbers: Of the date, as they are written.
        digits: How many each number has.
        clock: Hour, minute, second; no second on Android. 24 hours.
        half_day: What names the half of the day, without blanks and full stops; empty where the clock has 24 hours.
        year_first: Whether only countries where dates begin with the year write them like this.
        end: Where the message goes on.
    """

    shape: tuple[str, str, str]
    numbers: tuple[int, int, int]
    digits: tuple[int, int, int]
    clock: tuple[int, int, int | None]
    half_day: str
    year_first: bool
    end: int


def find_header(line: str, layout: str | None = None) -> Header | None:
    """The header at the beginning of a line, if one is there.

    >>> find_header("3/1/24, 2:05\\u202fPM - Ana: Hi").clock
    (14, 5, None)
    >>> find_header("at 3/1/24, 2:05 PM - Ana: Hi") is None
    True
    """
    for name in (layout,) if layout else _LAYOUTS:
        match = _LAYOUTS[name].match(line)
        if match is not None:
            return _header(name, match)
    return None


@lru_cache(maxsize=256)  # there are two in most chats
def _half_day(before: str, after: str) -> str:
    """The word around a clock that names the half of the day; empty if none does."""
    for words in (before, after):
        # Korean, Chinese and Japanese dates end in a word of their own
        word = _SEPARATORS_OF_WORDS.sub("", words).lstrip("日일")
        if word.lower() in _PM or word.lower() in _AM:
            return word
    return ""


def _begins_with_year(match: re.Match[str], half_day: str) -> bool:
    if match["separator"] in "年년" or _EAST_ASIAN.match(half_day):
        return True
    blank = match.end("separator") < match.start("b") and match.string[match.start("b") - 1] == " "
    # "24. 3. 15. 14:05": with a full stop behind two digits, a Korean or a Hungarian wrote it
    return match["separator"] == "." and blank and len(match["c"]) <= 2 and match["before"].startswith(".")


def _header(layout: str, match: re.Match[str]) -> Header | None:
    hour, minute, second = int(match["hour"]), int(match["minute"]), match["second"]
    half_day = _half_day(match["before"], match["after"])
    if hour > 23 or minute > 59 or (second is not None and int(second) > 59):
        return None
    if half_day and hour <= 12:
        hour = hour % 12 + 12 * (half_day.lower() in _PM)
    shape = (layout, match["separator"], "minutes" if second is None else "seconds")
    return Header(
        shape,
        (int(match["a"]), int(match["b"]), int(match["c"])),
        (len(match["a"]), len(match["b"]), len(match["c"])),
        (hour, minute, None if second is None else int(second)),
        half_day,
        _begins_with_year(match, half_day),
        match.end(),
    )
