"""Fails where the splits of a manifest share a dialogue, audio, or (with --disjoint speakers) a speaker."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from cse.corpora.leaks import check_leaks
from cse.errors import CseError, ManifestError
from cse.manifest import read_utterances

SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("utterances", type=Path, help="utterances.jsonl with all splits")
    parser.add_argument("--disjoint", choices=("speakers", "dialogues"), required=True)
    options = parser.parse_args()
    try:
        utterances = read_utterances(options.utterances)
        check_leaks(utterances, disjoint=options.disjoint)
    except ManifestError as error:
        for problem in error.problems[:SHOWN]:
            print(f"check_leaks.py: {problem}", file=sys.stderr)
        if len(error.problems) > SHOWN:
            print(f"check_leaks.py: and {len(error.problems) - SHOWN} more", file=sys.stderr)
        return error.exit_code
    except CseError as error:
        print(f"check_leaks.py: {error}", file=sys.stderr)
        return error.exit_code
    counts = Counter(utterance.split for utterance in utterances)
    print(
        "  no leaks between " + ", ".join(f"{split} ({count} utterances)" for split, count in counts.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
