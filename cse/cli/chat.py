"""`cse chat inspect`: what was understood of a chat, and what a model will not see of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping

from cse.chat import open_chat
from cse.chat.inspection import ChatSummary, Inspection, inspect_chat
from cse.cli.parser import Parser
from cse.cli.printing import printable

_PEOPLE = 10  # of each chat, that the table shows
_CHATS = 50
_WIDTH = 100  # characters of a turn


def main(argv: list[str]) -> int:
    """Parse, read, show."""
    options = _parser().parse_args(argv)
    inspection = inspect_chat(open_chat(options.file), at=options.at, audio=options.audio, chat=options.chat)
    if options.json:
        print(json.dumps(inspection.to_dict(), ensure_ascii=False))
    else:
        print("\n".join(_table(inspection, options.turns)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="cse chat", description="Look at chats as messaging apps export them.")
    inspect = parser.add_subparsers(metavar="inspect", required=True).add_parser(
        "inspect",
        help="what was understood, and what was dropped",
        description="Show what was understood of a chat, and what was dropped. Nothing is sent anywhere.",
    )
    inspect.add_argument("file", metavar="FILE", help="chat export, text or JSON; - is standard input")
    inspect.add_argument(
        "--at",
        metavar="NOTE|TIME",
        help="voice note: file name, message id or time; the context ends before it",
    )
    inspect.add_argument(
        "--audio", metavar="NAME", help="end before the last voice note of that name, if there is one"
    )
    inspect.add_argument("--chat", metavar="NAME|ID", help="which chat, where the export has several")
    inspect.add_argument(
        "--turns",
        type=int,
        default=10,
        metavar="N",
        help="how many of the last turns to show (default: %(default)s)",
    )
    inspect.add_argument(
        "--json", action="store_true", help="print one JSON object, with all turns of the context"
    )
    return parser


def _table(inspection: Inspection, turns: int) -> Iterator[str]:
    yield _row("format", inspection.format)
    for chat in inspection.chats[:_CHATS]:
        yield ""
        yield from _chat(chat)
    hidden = len(inspection.chats[_CHATS:]) + inspection.more_chats
    if hidden:
        yield _row("", f"and {hidden} more chats")
    yield ""
    context = inspection.context
    if context is None:
        yield _row("context", "several chats: name one with --chat NAME|ID")
        return
    yield _row("context", f"{len(context.turns)} turn{'' if len(context.turns) == 1 else 's'}")
    yield _row("left out", _counts(context.dropped) or "nothing")
    if context.note is not None:
        yield _row(
            "voice note",
            f"{context.note.attachment or context.note.id or ''}  {context.note.time or ''}".strip(),
        )
    if context.target is not None:
        yield _row("sent by", context.target)
    for turn in context.turns[max(0, len(context.turns) - turns) :]:
        words = " ".join(turn.text.split())
        yield _row(_cut(printable(turn.speaker or ""), 11), _cut(words, _WIDTH))


def _chat(chat: ChatSummary) -> Iterator[str]:
    if chat.name is not None or chat.id is not None:
        yield _row(
            "chat", "  ".join(part for part in (chat.name, f"id {chat.id}" if chat.id else None) if part)
        )
    between = f"  {chat.first} to {chat.last}" if chat.first else ""
    yield _row("messages", f"{chat.messages:,}{between}")
    people = chat.people.most_common(_PEOPLE)
    more = len(chat.people) - len(people)
    yield _row("people", _counts(dict(people)) + (f" and {more} more" if more else ""))
    yield _row("kinds", _counts(dict(chat.kinds.most_common())))
    for note in chat.notes:
        yield _row(
            "voice",
            "  ".join(part for part in (note.time, note.sender, note.attachment, f"id {note.id}") if part),
        )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _row(name: str, text: str) -> str:
    return f"{name:<12}{printable(text)}".rstrip()


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
