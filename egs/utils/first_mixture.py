"""Prints the audio file of a manifest's first mixture and writes its history as JSON, for `cse extract`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from cse.errors import CseError
from cse.evaluation.score_set import with_history
from cse.files import write_text
from cse.manifest import read_mixtures


def main() -> int:
    """Write --history, print the path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--history", type=Path, required=True, help="JSON file to write")
    parser.add_argument(
        "--min-history-turns", type=int, default=0, metavar="N", help="the first one with so many"
    )
    args = parser.parse_args()
    try:
        mixture = with_history(read_mixtures(args.manifest), args.min_history_turns)[0]
        turns = [{"speaker": turn.speaker, "text": turn.text} for turn in mixture.history]
        write_text(args.history, json.dumps(turns, indent=2, ensure_ascii=False) + "\n")
    except CseError as error:
        print(f"first_mixture.py: {error}", file=sys.stderr)
        return error.exit_code
    print(mixture.mixture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
