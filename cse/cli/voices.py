"""`cse voices`: what a voice book holds, for those whose voices are in it: list, export, delete."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from cse.cli.outputs import check_file, check_no_input
from cse.cli.parser import Parser
from cse.cli.printing import printable
from cse.errors import ConfigError, VoiceBookError
from cse.files import atomic_write
from cse.stored_voices import StoredVoice
from cse.voice_book import VoiceBook

DESCRIPTION = """\
Show, export or delete the voices that `cse extract --voice-book FILE` has learnt. A book whose
senders are hashed with a key names them by their hashes."""


def main(argv: list[str]) -> int:
    """Do what was asked for with one book."""
    options = _parser().parse_args(argv)
    path = Path(options.file)
    try:
        there = path.is_file()
    except OSError as error:
        raise VoiceBookError(f"{path}: cannot read: {error.strerror}; expected a voice book") from error
    if not there:
        raise VoiceBookError(f"{path}: no such file, expected a voice book")
    book = VoiceBook(path)
    if options.action == "list":
        _list(book.voices(), as_json=options.json)
    elif options.action == "export":
        _export(book, options.name, options.output)
    else:
        _delete(book, options.name, everything=options.all)
    return 0


def _list(voices: Mapping[str, StoredVoice], *, as_json: bool) -> None:
    rows = [
        {name: value for name, value in {"sender": sender, **asdict(voice)}.items() if name != "mean"}
        for sender, voice in voices.items()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        line = (
            f"{row['sender']}: {row['messages']} messages, {row['speech_s']:.0f} s of speech, {row['first']} to "
            f"{row['last']}, {row['refused']} refused, {row['encoder']}"
        )
        print(printable(line))


def _export(book: VoiceBook, name: str | None, output: str | None) -> None:
    if output is not None:
        check_no_input("-o", [Path(output)], [book.path])
        check_file("-o", Path(output))
    found = [book.export(sender) for sender in (book.voices() if name is None else [name])]
    if name is not None and found == [None]:
        raise _unknown(book, name)
    text = json.dumps(found, indent=2) + "\n"
    if output is None:
        print(text, end="")
        return
    with atomic_write(output) as beside:
        beside.chmod(0o600)
        beside.write_text(text, encoding="ascii")


def _delete(book: VoiceBook, name: str | None, *, everything: bool) -> None:
    if (name is None) != everything:
        raise ConfigError("delete: expected either a NAME or --all")
    if name is None:
        book.clear()
        print(f"{book.path}: deleted")
    elif book.delete(name):
        print(f"{book.path}: {name} deleted")
    else:
        raise _unknown(book, name)


def _unknown(book: VoiceBook, name: str) -> VoiceBookError:
    return VoiceBookError(
        f"{book.path}: got {name!r}, expected one of the names that `cse voices list` shows"
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="cse voices", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|export|delete")
    listing = actions.add_parser("list", help="a line each: counts and days")
    listing.add_argument("file", metavar="FILE")
    listing.add_argument("--json", action="store_true", help="print a list of objects")
    export = actions.add_parser("export", help="everything that is stored, as JSON")
    export.add_argument("file", metavar="FILE")
    export.add_argument("name", metavar="NAME", nargs="?", help="only of this sender")
    export.add_argument("-o", "--output", metavar="OUT", help="write there instead of printing")
    delete = actions.add_parser("delete", help="forget a sender, or all of them")
    delete.add_argument("file", metavar="FILE")
    delete.add_argument("name", metavar="NAME", nargs="?")
    delete.add_argument("--all", action="store_true", help="delete the file")
    return parser
