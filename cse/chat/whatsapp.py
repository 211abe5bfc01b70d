"""WhatsApp's "Export chat": `_chat.txt` of iOS, `WhatsApp Chat with ….txt` of Android, and copied messages.

The words of the app differ in forty languages, so attachments are told by their file names, omitted media by angle
brackets, and what iOS wrote itself by U+200E in front. The first message decides how messages begin, so that a line
inside a message that only looks like another message does not become one, unless it was made to look exactly the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from cse.chat import limits
from cse.chat.message import ChatMessage
from cse.chat.plain_text import is_turn
from cse.chat.source import TextFile
from cse.chat.text import too_long
from cse.chat.whatsapp_content import clean, content_of
from cse.chat.whatsapp_dates import Order, date_order, time_of
from cse.chat.whatsapp_header import Header, find_header
from cse.chat.whatsapp_words import ENCRYPTION

NAME = "whatsapp"
_AUTHOR = re.compile(r"([^\n]{1,120}?):(?:\s|$)")
_QUOTES = frozenset('"“”„«»「」『』')
_LINES = 20  # that are looked at


def claims(head: str) -> bool:
    """Whether a text begins like a WhatsApp export, or soon goes on like one.

    What WhatsApp Web exports begins with notices, and what somebody copied may begin inside a message. Plain text that
    quotes a message now and then has names of its own, or more lines than headers.

    >>> claims("[01.03.24, 14:05:33] Ana: Hi"), claims("Ana: at 14:05")
    (True, False)
    >>> claims("by the station\\n[01.03.24, 14:05:33] Ana: Hi\\n[01.03.24, 14:05:39] Ben: Ho")
    True
    """
    lines = list(islice((line for line in head.split("\n") if line.strip()), _LINES))
    headers = [find_header(line) for line in lines]
    first = next((place for place, header in enumerate(headers) if header is not None), None)
    if not first:  # None: there is no header
        return first == 0
    if clean(lines[0]).lower().startswith(ENCRYPTION):
        return True
    shape = headers[first].shape  # type: ignore[union-attr]
    messages = sum(header is not None and header.shape == shape for header in headers)
    named = [header is None and is_turn(line) for line, header in zip(lines, headers, strict=True)]
    # a message may go on with "Bring: …", but not everybody's
    return messages > 1 + any(named) and messages * 3 >= len(lines) - first and sum(named[1:]) == 0


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
    # 'Ana changed the subject to "Trip: Rome"', and as WhatsApp Web has it, "[…] - Ana changed …"
    if author is None or rest.startswith("- ") or _QUOTES.intersection(author[1]):
        return ChatMessage(None, None, clean(rest), time, "system", id=line)
    name = clean(author[1])
    text, kind, attachment, forwarded = content_of(rest[author.end() :])
    if kind == "system":  # in groups, iOS writes the group's name for the author
        return ChatMessage(None, None, text, time, kind, id=line)
    sender, origin = name.lstrip("~ ") or name, "unknown" if forwarded else None
    return ChatMessage(name, sender, text, time, kind, attachment, origin, id=line)
