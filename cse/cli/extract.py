"""`cse extract`: one recording and the conversation before it in, one voice out; or many of them."""

from __future__ import annotations

import argparse
import sys
import typing
from pathlib import Path

from cse.audio import WRITABLE_SUFFIXES
from cse.chat import read_context
from cse.cli.batch_items import is_batch
from cse.cli.models import add_model_options, load_extractor
from cse.cli.outputs import check_file, check_no_input
from cse.cli.parser import Parser
from cse.cli.results import json_line, save_voice
from cse.engines.choice import EngineName
from cse.errors import ConfigError
from cse.voice_book import VoiceBook


def main(argv: list[str]) -> int:
    """Parse, extract, write, report."""
    options = _parser().parse_args(argv)
    if is_batch(options.audio):
        from cse.cli.extract_batch import extract_batch

        if options.voice_book or options.sender:
            raise ConfigError(
                "--voice-book, --sender: got many recordings, expected the messages of one sender each"
            )
        if options.at is not None:
            raise ConfigError("--at: got the place of one voice note, expected none for many recordings")
        return extract_batch(options)
    for name in ("engine", "workers", "ray_address"):
        if getattr(options, name) is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')}: got one recording, expected a folder or a manifest of many for it"
            )
    for name in ("at", "chat"):
        if getattr(options, name) is not None and not options.history:
            raise ConfigError(
                f"--{name}: got it without --history, expected the chat export that it is about"
            )
    if (options.voice_book is None) != (options.sender is None):
        raise ConfigError("--voice-book, --sender: got only one of them, expected both or neither")
    output = Path(options.output)
    _check_output(output)
    inputs = (options.audio, options.history, options.enrollment, options.voice_book)
    check_no_input("-o", [output], filter(None, inputs))
    context = None
    if options.history:
        context = read_context(
            options.history, at=options.at, audio=Path(options.audio).name, chat=options.chat
        )
    extractor = load_extractor(options)
    result = extractor.extract(
        options.audio,
        None if context is None else context.turns,
        enrollment=options.enrollment,
        target=options.target or (None if context is None else context.target),
        on_absent=options.on_absent,
        voice_book=None if options.voice_book is None else VoiceBook(options.voice_book),
        sender=options.sender,
    )
    save_voice(result, output)
    for warning in result.warnings:
        print(f"cse extract: warning: {warning}", file=sys.stderr)
    if options.json:
        print(json_line(result.to_dict(str(output))))
    else:
        sure = f"probability {result.probability:.2f}" + (
            ", not sure: listen to it" if result.abstained else ""
        )
        print(f"{output}: one voice of {len(result.candidates)}, {sure}")
        if result.learning is not None:
            learning = "learnt" if result.learning.learnt else f"not learnt: {result.learning.reason}"
            print(f"{options.voice_book}: {learning}")
    return 0


def _check_output(output: Path) -> None:
    """Find out before minutes of work whether the result can be written."""
    if output.suffix.lower() not in WRITABLE_SUFFIXES:
        expected = ", ".join(WRITABLE_SUFFIXES)
        raise ConfigError(f"{output}: got the suffix {output.suffix!r}, expected one of {expected}")
    check_file("-o", output)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="cse extract", description="Extract the voice that continues a conversation from a recording."
    )
    parser.add_argument(
        "audio",
        metavar="AUDIO",
        help="recording with two or more people talking; or a folder of them, each with its history beside it "
        "(note.ogg, note.txt or note.json), or a mixtures.jsonl",
    )
    parser.add_argument(
        "--history",
        metavar="FILE",
        help="turns before it: plain text (Name: words), JSON, or a chat export (WhatsApp's ZIP or text, Telegram, "
        "Signal, Slack, Discord, Matrix); - is standard input",
    )
    parser.add_argument(
        "--at",
        metavar="NOTE|TIME",
        help="the voice note in the chat export, by file name, message id or time (default: the last one that is "
        "called like AUDIO, else the end of the chat); what follows it is left out",
    )
    parser.add_argument("--chat", metavar="NAME|ID", help="which chat, where the export has several")
    parser.add_argument(
        "--target",
        metavar="NAME",
        help="who is speaking, as named in the history (default: who sent the voice note)",
    )
    parser.add_argument("--enrollment", metavar="WAV", help="a recording of the wanted voice alone")
    parser.add_argument(
        "--voice-book", metavar="FILE",
        help="use the voice of --sender that FILE knows from earlier messages, and learn from this one if it is sure; "
        "made where there is none; see cse voices",
    )  # fmt: skip
    parser.add_argument("--sender", metavar="NAME", help="whose voice it is in the voice book")
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True,
        help=".wav, .flac, .ogg or .opus; for many recordings a folder: it gets a .wav of each and results.jsonl, and "
        "keeps what is done when the command is typed again",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object (a line, for each of many)"
    )
    parser.add_argument(
        "--on-absent",
        choices=("error", "silence", "passthrough"),
        default="error",
        help="what to do if nobody continues the history (default: exit code 3 and no output)",
    )
    many = parser.add_argument_group("many recordings")
    many.add_argument(
        "--engine", choices=typing.get_args(EngineName),
        help="where: one after the other (serial, the default), in a pool of processes, or on Ray (needs cse[ray])",
    )  # fmt: skip
    many.add_argument("--workers", type=int, metavar="N", help="of pool or ray (default: one a core)")
    many.add_argument("--ray-address", metavar="HOST:PORT", help="of a Ray cluster (default: this machine)")
    add_model_options(parser)
    return parser
