"""Tells by its content what a chat is, and reads it: the one way into every format."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from cse.chat import plain_text, whatsapp
from cse.chat.archive import text_members
from cse.chat.discord import Discord
from cse.chat.json_stream import ENTER_LIST, ENTER_OBJECT, ITEM, Cursor, Path, walk
from cse.chat.matrix import Matrix
from cse.chat.message import ChatMessage
from cse.chat.pages import Pages, oldest_first
from cse.chat.signal_cli import SignalCli
from cse.chat.slack import Slack
from cse.chat.slack_archive import days_of
from cse.chat.source import ZIP_SIGNATURE, TextFile, open_file, open_standard_input, open_text
from cse.chat.telegram_bot import TelegramBot
from cse.chat.telegram_desktop import TelegramDesktop
from cse.chat.turn_list import TurnList
from cse.errors import HistoryError

_HEAD = 2**20  # characters
_ITEMS = 200  # of a list, that are looked at
_MEMBERS = 20  # of a ZIP, that are looked at
# where broken JSON is meant, and not "[12:30] words" or "{laughs}"
_LIKE_JSON = re.compile(r'\s*(\[\s*[\[{"\]]|\{\s*["}])')


class JsonFormat(Protocol):
    """What reads one format of JSON; a new one for each reading, as it may remember what it saw."""

    name: str
    containers: frozenset[Path]
    pages: Pages

    @staticmethod
    def claims(path: Path, item: object) -> bool:
        """Whether an item of a list is a message of this format."""
        ...

    def read(self, path: Path, key: str | None, value: object) -> Iterator[ChatMessage]:
        """The messages in one step through the file."""
        ...


# Asked in this order: the first that knows an item reads the file.
_FORMATS: tuple[type[JsonFormat], ...] = (
    TelegramDesktop, TelegramBot, SignalCli, Slack, Discord, Matrix, TurnList,
)  # fmt: skip
_CONTAINERS = frozenset[Path]().union(*(format_.containers for format_ in _FORMATS))
_PAGES = frozenset[Path]().union(*(format_.pages.order for format_ in _FORMATS))


@dataclass(frozen=True)
class ChatExport:
    """A chat whose format is known.

    Attributes:
        name: What it is called in messages; None for a text in memory.
        format: whatsapp, telegram, telegram-bot, signal, slack, discord, matrix, turns or text.
    """

    name: str | None
    format: str
    _read: Callable[[], Iterator[ChatMessage]] = field(repr=False)

    def messages(self) -> Iterator[ChatMessage]:
        """Read the messages in the order of the file, from its beginning, one at a time.

        Raises:
            HistoryError: The file is damaged, or exceeds a limit. The error names the line, and quotes nothing.
        """
        try:
            yield from self._read()
        except HistoryError as error:
            raise _named(self.name, error) from None


def open_chat(source: str | os.PathLike[str]) -> ChatExport:
    """Find out what a file is; `-` is standard input.

    Raises:
        HistoryError: There is no such file, or it is no chat.
    """
    file = open_standard_input() if source == "-" else open_file(source)
    try:
        return _sniff(file)
    except HistoryError as error:
        raise _named(file.name, error) from None


def open_chat_text(text: str | bytes) -> ChatExport:
    """Find out what a text is, or the bytes of a file.

    Raises:
        HistoryError: It is no chat, or longer than 50 MB.

    >>> open_chat_text("[01.03.24, 14:05:33] Ana: Hi").format
    'whatsapp'
    """
    return _sniff(open_text(text))


def _named(name: str | None, error: HistoryError) -> HistoryError:
    return error if name is None else HistoryError(f"{name}: {error}")


def _sniff(file: TextFile) -> ChatExport:
    with file.open() as stream:
        start = stream.read(len(ZIP_SIGNATURE))
    if start == ZIP_SIGNATURE:
        return _sniff_members(text_members(file))
    head, whole = _head(file)
    if whatsapp.claims(head):
        return ChatExport(file.name, whatsapp.NAME, lambda: whatsapp.read(file))
    if _is_json(head, whole):
        documents = _are_documents(head)
        format_ = _json_format(file, head, documents)
        return ChatExport(file.name, format_.name, lambda: _read_json(file, format_(), documents))
    return ChatExport(file.name, plain_text.NAME, lambda: plain_text.read(file))


def _sniff_members(members: list[TextFile]) -> ChatExport:
    """The chat in a ZIP: of WhatsApp, beside the media that were sent; of Slack; or the only text."""
    days = days_of(members)
    if days:
        return ChatExport(days[0][0].name, Slack.name, lambda: _read_days(members))
    # _chat.txt is what iOS calls it; documents that people sent may end in .txt too
    first = sorted(members, key=lambda file: (not _is_chat(file), (file.member or "").count("/")))[:_MEMBERS]
    for file in first:
        if whatsapp.claims(_head(file)[0]):
            return _sniff(file)
    if len(members) != 1:
        raise HistoryError(
            f"got a ZIP with {len(members)} texts and none of WhatsApp, expected a chat export; unpack it and name one "
            "file"
        )
    return _sniff(members[0])


def _is_chat(file: TextFile) -> bool:
    return (file.member or "").rpartition("/")[2] in ("_chat.txt", "result.json")


def _head(file: TextFile) -> tuple[str, bool]:
    """The first characters, and whether they are all."""
    parts, size = [], 0
    for chunk in file.chunks():
        parts.append(chunk)
        size += len(chunk)
        if size >= _HEAD:
            return "".join(parts).removeprefix("\ufeff"), False
    return "".join(parts).removeprefix("\ufeff"), True


def _is_json(head: str, whole: bool) -> bool:
    if _LIKE_JSON.match(head) is not None:
        return True
    if not whole or not head.lstrip().startswith("["):
        return False
    try:
        json.loads(head)
    except (ValueError, RecursionError):
        return False
    return True


def _are_documents(head: str) -> bool:
    """Whether the objects at the top are messages: JSON Lines, or a lone one."""
    text = head.lstrip()
    if not text.startswith("{"):
        return False
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return any(format_.claims(ITEM, value) for format_ in _FORMATS) or text[end:].lstrip().startswith("{")


def _json_format(file: TextFile, head: str, documents: bool) -> type[JsonFormat]:
    """The format of the first item that one knows; turns, if none does and there is a list for them."""
    listed = False
    items = 0
    for path, _, value in walk(Cursor(file.chunks()), _CONTAINERS, lone=_PAGES, documents=documents):
        if value is ENTER_LIST:
            listed = listed or path in TurnList.containers
        elif path[-1:] == ITEM and value is not ENTER_OBJECT:
            for format_ in _FORMATS:
                if format_.claims(path, value):
                    return format_
            items += 1
            if items == _ITEMS:
                break
    if not listed:
        what = "objects" if documents else 'a JSON object without a list under "messages" or "history"'
        raise HistoryError(
            f"line 1: got {what}, expected turns or a chat export; see the README for the formats"
        )
    return TurnList


def _read_json(file: TextFile, reader: JsonFormat, documents: bool = False) -> Iterator[ChatMessage]:
    cursor = Cursor(file.chunks())
    pages = Pages() if documents else reader.pages  # one a line: a log, which grows at its end
    steps = walk(cursor, reader.containers, lone=pages.order, documents=documents)
    for path, key, value in oldest_first(steps, pages, cursor):
        try:
            yield from tuple(reader.read(path, key, value))
        except HistoryError as error:
            raise HistoryError(f"line {cursor.line}: {error}") from None


def _read_days(members: list[TextFile]) -> Iterator[ChatMessage]:
    for file, reader in days_of(members):
        try:
            yield from _read_json(file, reader)
        except HistoryError as error:
            raise HistoryError(f"{file.member}: {error}") from None
