"""Prints the audio file of a manifest's first mixture and writes its history as JSON, for `cse extract`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cse.files import write_text
from cse.manifest import read_mixtures


def main() -> None:
    """Write --history, print the path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--history", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    mixture = read_mixtures(args.manifest)[0]
    turns = [{"speaker": turn.speaker, "text": turn.text} for turn in mixture.history]
    write_text(args.history, json.dumps(turns, indent=2, ensure_ascii=False) + "\n")
    print(mixture.mixture)


if __name__ == "__main__":
    main()
