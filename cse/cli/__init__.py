"""The command line: `cse COMMAND …`, one thin module a command."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import warnings
from contextlib import suppress

from cse.errors import CseError, one_line

COMMANDS = {
    "extract": "the voice that continues a conversation, out of a recording",
    "voices": "what a voice book has learnt of people: list, export, delete",
    "doctor": "what is installed, what is active, and what would make it better",
    "evaluate": "measure a model on a manifest of mixtures",
    "train": "train a model (Hydra overrides)",
    "simulate": "make mixtures in simulated rooms (Hydra overrides)",
    "rirs": "make a bank of rooms for simulate and train (Hydra overrides)",
    "shards": "write mixtures as .tar files, to train from an object store",
    "import": "utterances.jsonl of a Kaldi data folder or of lhotse manifests",
    "chat": "what was understood of a chat export (cse chat inspect FILE)",
    "export": "a model as one ONNX file, for phones and browsers (cse export onnx)",
    "serve": "the HTTP service",
    "bot": "a bot in a messenger (cse bot telegram, cse bot matrix)",
    "demo": "the main job on a voice note that is made on the spot",
    "convert-checkpoint": "turn a checkpoint of the paper's own code into one of ours",
}
_MODULES = {"import": "import_corpus"}  # where a command's name cannot be that of its module
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 done, 1 a bug, 2 bad input or usage or no room for the output, 3 target judged absent.
    """
    arguments = sys.argv[1:] if argv is None else argv
    command = arguments[0] if arguments else "--help"
    try:
        code = _run(command, arguments)
        if sys.stdout is not None:  # it is where it was closed
            sys.stdout.flush()  # here, because at its end Python can only complain
        return code
    except CseError as error:
        print(f"cse {command}: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"cse {command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of our output left (`| head`): nothing more to say, and nowhere to say it
        _discard_output()
        return 0
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        print(f"cse {command}: cannot write its output: {one_line(error)}; make room for it", file=sys.stderr)
        _discard_output()
        return 2


def _run(command: str, arguments: list[str]) -> int:
    with suppress(AttributeError):  # names of files need not be text; stderr writes them like that by itself
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if command in {"-h", "--help"}:
        print("usage: cse COMMAND [OPTIONS]\n")
        print("\n".join(f"  {name:<20}{text}" for name, text in COMMANDS.items()))
        print("\ncse COMMAND --help says more.")
        return 0 if arguments else 2
    if command == "--version":
        from cse import __version__

        print(__version__)
        return 0
    if command not in COMMANDS:
        print(f"cse: got command {command!r}, expected one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    # torchmetrics and webrtcvad import it at every start; nothing that a user could do about it
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    module = _MODULES.get(command, command.replace("-", "_"))
    return int(importlib.import_module(f"cse.cli.{module}").main(arguments[1:]))


def _discard_output() -> None:
    """Let standard output lead nowhere, so that Python does not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
