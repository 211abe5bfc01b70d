"""WhatsApp's "Export chat": `_chat.txt` of iOS, `WhatsApp Chat with ….txt` of Android, and copied messages.

The words of the app differ in forty languages, so attachments are told by their file names, omitted media by angle
brackets, and what iOS wrote itself by U+200E in front. The first message decides how messages begin, so that a line
inside a message that only looks like another message does not become one, unless it was made to look exactly the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cse.chat import limits
from cse.chat.fields import media_kind
from cse.chat.message import ChatMessage, Kind
from cse.chat.source import TextFile
from cse.chat.text import too_long
from cse.chat.whatsapp_dates import Order, date_order, time_of
from cse.chat.whatsapp_header import MARKS, Header, find_header
from cse.chat.whatsapp_words import ATTACHED, AUDIO, DELETED, EDITED, ENCRYPTION, NOTICES

NAME = "whatsapp"
_GENERATED = "\u200e"
_REMOVE_MARKS = dict.fromkeys(map(ord, MARKS)) | dict.fromkeys(map(ord, "\u00a0\u202f\u2009"), " ")
_AUTHOR = re.compile(r"([^\n]{1,120}?):(?:\s|$)")
_QUOTES = frozenset('"“”„«»「」『』')
_FILE = r"[^<>/\\\n:：]{1,200}\.\w{1,8}"
_IOS_FILE = re.compile(rf"<[^<>:：\n]{{1,48}}+[:：](?P<file>{_FILE})>\s*+$")
_ANDROID_FILE = re.compile(rf"(?P<file>{_FILE}) \((?P<words>[^()\n]{{3,40}})\)[{MARKS}]*+$")
_OF_ANDROID = re.compile(r"[A-Z]{3}-\d{8}-WA\d{4,}\.\w+$")
_EDITED = re.compile(rf"\s*(?P<mark>[{MARKS}]*)<(?P<words>[^<>\n]{{3,60}})>$")
_OMITTED = re.compile(r"<[^<>\n]{2,60}>$")
_PLACE = re.compile(r"[^\n:：]{2,40}[:：]\s?https://maps\.google\.com/\?q=\S+$")


def claims(head: str) -> bool:
    """Whether a text begins like a WhatsApp export.

    >>> claims("[01.03.24, 14:05:33] Ana: Hi"), claims("Ana: at 14:05")
    (True, False)
    """
    line = next((line for line in head.split("\n") if line.strip()), "")
    return find_header(line) is not None


def read(file: TextFile) -> Iterator[ChatMessage]:
    """The messages of an export, oldest first; the id of each is the number of its line.

    Raises:
        HistoryError: It is no text, or a message has more than 8 Mi characters.
    """
    first = next((header for _, line in file.lines() if (header := find_header(line))), None)
    if first is None:
        return
    order = date_order(header for _, line in file.lines() if (header := _same(line, first)))
    header, number, length, parts = None, 0, 0, [""]
    for line_number, line in file.lines():
        following = _same(line, first)
        if following is None:
            parts.append(line)
            length += len(line) + 1
            if length > limits.MAX_MESSAGE_CHARACTERS:
                raise too_long(number)
            continue
        if header is not None:
            yield _message(header, number, "\n".join(parts), order)
        header, number, length = following, line_number, len(line)
        parts = [line[following.end :]]
    if header is not None:
        yield _message(header, number, "\n".join(parts), order)


def _same(line: str, first: Header) -> Header | None:
    header = find_header(line, first.shape[0])
    return header if header is not None and header.shape == first.shape else None


def _message(header: Header, number: int, rest: str, order: Order) -> ChatMessage:
    time, line = time_of(header, order), str(number)
    author = _AUTHOR.match(rest)
    if author is None or _QUOTES.intersection(author[1]):  # Ana changed the subject to "Trip: Rome"
        return ChatMessage(None, None, _clean(rest), time, "system", id=line)
    name = _clean(author[1])
    text, kind, attachment = _content(rest[author.end() :])
    if kind == "system":  # in groups, iOS writes the group's name for the author
        return ChatMessage(None, None, text, time, kind, id=line)
    return ChatMessage(name, name.lstrip("~ ") or name, text, time, kind, attachment, id=line)


def _content(body: str) -> tuple[str, Kind, str | None]:
    """Words, kind and file name of what stands behind the author."""
    generated = body.startswith(_GENERATED)
    if (match := _IOS_FILE.search(body, max(0, len(body) - 300))) is not None:
        file = _clean(match["file"])
        # what iOS wrote itself in front is the name and the pages of a document
        return "" if generated else _clean(body[: match.start()]), _kind(file), file
    first, _, caption = body.partition("\n")
    match = _ANDROID_FILE.match(first.lstrip(MARKS))
    if match is not None and (generated or _OF_ANDROID.match(match["file"]) or match["words"] in ATTACHED):
        file = _clean(match["file"])
        return _clean(caption), _kind(file), file
    return _words(_clean(body), body, generated)


def _words(text: str, body: str, generated: bool) -> tuple[str, Kind, None]:
    plain = text.lower().rstrip(".。।")
    if plain in DELETED:
        return "", "deleted", None
    if plain in NOTICES or plain.startswith(ENCRYPTION):
        return text, "system", None
    if generated:
        return ("", "voice", None) if plain.startswith(AUDIO) and len(plain) < 40 else (text, "system", None)
    if _OMITTED.match(text) or _PLACE.match(text):
        return "", "other", None
    edited = _EDITED.search(body, max(0, len(body) - 80))
    if edited is not None and (_GENERATED in edited["mark"] or edited["words"].lower().rstrip(".") in EDITED):
        text = _clean(body[: edited.start()])
    return text, "text", None


def _kind(file: str) -> Kind:
    if file.startswith("PTT-") or "-AUDIO-" in file:
        return "voice"
    return "other" if file.startswith("STK-") or "-STICKER-" in file else media_kind(None, file)


def _clean(text: str) -> str:
    """Without marks of the writing direction, which are not words, and with plain blanks."""
    return text.strip() if text.isascii() else text.translate(_REMOVE_MARKS).strip()
