"""Stage 0 of the TED-LIUM 3 recipe: is the corpus there as it is distributed, and where is it to be had?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from corpus import Partition, check

from cse.errors import CseError, one_line


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, help="folder of the corpus; empty where it is not known")
    parser.add_argument(
        "--partial", action="store_true", help="do not mind what is missing of the recordings"
    )
    parser.add_argument("--partition", choices=get_args(Partition), default="speaker-adaptation")
    options = parser.parse_args()
    try:
        corpus = Path(options.corpus) if options.corpus else None
        for line in check(corpus, options.partition, partial=options.partial):
            print(f"  {line}")
    except CseError as error:
        print(f"check.py: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
