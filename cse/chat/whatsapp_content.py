"""What stands behind the author of a WhatsApp message: words, or what the app wrote in place of them."""

from __future__ import annotations

import re
from typing import NamedTuple

from cse.chat.fields import media_kind
from cse.chat.message import Kind
from cse.chat.whatsapp_header import MARKS
from cse.chat.whatsapp_words import (
    ATTACHED,
    AUDIO,
    DELETED,
    DELETED_BY,
    EDITED,
    ENCRYPTION,
    MEDIA,
    MISSED,
    NOTICES,
    OMITTED,
)

_GENERATED = "\u200e"
_REMOVE_MARKS = dict.fromkeys(map(ord, MARKS)) | dict.fromkeys(map(ord, "\u00a0\u202f\u2009"), " ")
_FILE = r"[^<>/\\\n:：]{1,200}\.\w{1,8}"
_IOS_FILE = re.compile(rf"<[^<>:：\n]{{1,48}}+[:：](?P<file>{_FILE})>\s*+$")
# what is sent without a name has one of three lower-case words for it; WhatsApp Web has the caption in the same line
_ANDROID_FILE = re.compile(
    rf"(?P<file>{_FILE}|[^\W\d_][\w ]{{1,30}}) \((?P<words>[^()\n]{{3,40}})\)(?:[{MARKS}]*+$| (?P<caption>.+))"
)
_OF_ANDROID = re.compile(r"[A-Z]{3}-\d{8}-WA\d{4,}\.\w+$")
_EDITED = re.compile(rf"\s*(?P<mark>[{MARKS}]*)<(?P<words>[^<>\n]{{3,60}})>$")
_OMITTED = re.compile(r"<[^<>\n]{2,60}>$")
_OMITTED_MEDIA = re.compile(r"<(?P<what>[A-Za-z ]{3,20}) omitted>(?:$|[ \n](?P<caption>.*))", re.DOTALL)
_PLACE = re.compile(
    r"(?:[^\n:：]{2,40}[:：]|(?:[^\n]{1,80}: )?(?:Live l|L)ocation: [-\d.]{1,20}, [-\d.]{1,20} -)"
    r"\s?https://maps\.google\.com/\?q=\S+$"
)
_FORWARDED = re.compile(rf"[{MARKS}]*+\[Forwarded(?: many times)?\] ")


class Content(NamedTuple):
    """What a message holds.

    Attributes:
        text: The words.
        kind: What it is.
        attachment: The name of the file.
        forwarded: Whether somebody else wrote it first.
    """

    text: str
    kind: Kind
    attachment: str | None = None
    forwarded: bool = False


def content_of(body: str) -> Content:
    """Take what stands behind the author apart.

    >>> content_of("IMG-20240301-WA0001.jpg (file attached)\\nthe map")
    Content(text='the map', kind='image', attachment='IMG-20240301-WA0001.jpg', forwarded=False)
    >>> content_of("[Forwarded] Where?")
    Content(text='Where?', kind='text', attachment=None, forwarded=True)
    """
    forwarded = _FORWARDED.match(body)
    if forwarded is None:
        return _content(body)
    return _content(body[forwarded.end() :])._replace(forwarded=True)


def _content(body: str) -> Content:
    generated = body.startswith(_GENERATED)
    if (match := _IOS_FILE.search(body, max(0, len(body) - 300))) is not None:
        file = clean(match["file"])
        # what iOS wrote itself in front is the name and the pages of a document
        return Content("" if generated else clean(body[: match.start()]), _kind(file), file)
    return _attached(body, generated) or _words(clean(body), body, generated)


def _attached(body: str, generated: bool) -> Content | None:
    first, _, below = body.partition("\n")
    match = _ANDROID_FILE.match(first.lstrip(MARKS))
    if match is None:
        return None
    file, known = clean(match["file"]), match["words"] in ATTACHED
    caption = clean(f"{match['caption'] or ''}\n{below}")
    if "." not in file:
        kind = MEDIA.get(file.lower()) if known else None
        return None if kind is None else Content(caption, kind)
    sure = known or (match["caption"] is None and (generated or _OF_ANDROID.match(file)))
    return Content(caption, _kind(file), file) if sure else None


def _words(text: str, body: str, generated: bool) -> Content:
    plain = text.lower().rstrip(".。।")
    if plain in DELETED or _is_deleted_by(plain):
        return Content("", "deleted")
    missed = plain.startswith(MISSED) and len(plain) < 32
    if plain in NOTICES or missed or plain.startswith(ENCRYPTION):
        return Content(text, "system")
    if generated:
        voice = plain.startswith(AUDIO) and len(plain) < 40
        return Content("", "voice") if voice else Content(text, "system")
    if (match := _OMITTED_MEDIA.match(text)) is not None and (kind := MEDIA.get(match["what"].lower())):
        return Content(clean(match["caption"] or ""), kind)
    if _OMITTED.match(text) or _PLACE.match(text) or plain in OMITTED:
        return Content("", "other")
    edited = _EDITED.search(body, max(0, len(body) - 80))
    if edited is not None and (_GENERATED in edited["mark"] or edited["words"].lower().rstrip(".") in EDITED):
        text = clean(body[: edited.start()])
    return Content(text, "text")


def _is_deleted_by(plain: str) -> bool:
    """Whether an administrator took a message back, whose name stands somewhere in the notice."""
    return len(plain) < 120 and any(
        plain.startswith(start) and plain.endswith(end) and len(plain) > len(start + end)
        for start, end in DELETED_BY
    )


def _kind(file: str) -> Kind:
    if file.startswith("PTT-") or "-AUDIO-" in file:
        return "voice"
    return "other" if file.startswith("STK-") or "-STICKER-" in file else media_kind(None, file)


def clean(text: str) -> str:
    """Without marks of the writing direction, which are not words, and with plain blanks."""
    return text.strip() if text.isascii() else text.translate(_REMOVE_MARKS).strip()
