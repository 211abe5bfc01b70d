"""Stage 0 of the DailyTalk recipe: is the corpus there, and all of it?"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from cse.errors import CseError, one_line

DIALOGUES = 2541
SHOWN = 10
DOWNLOAD = """\
DailyTalk (Lee, Park and Kim, ICASSP 2023; CC BY-SA 4.0) is on Google Drive, for download by hand: the link is in
https://github.com/keonlee9420/DailyTalk under Dataset. Unpack it, so that there are
    DailyTalk/data/0/0_1_d0.wav  DailyTalk/data/0/0_1_d0.txt  ...  DailyTalk/data/2540/...
and name that folder: --data-dir DailyTalk. No checksums are published."""


def check(corpus: Path | None) -> str:
    """Say what is there.

    Args:
        corpus: The folder that holds data/; None where nobody named one.

    Returns:
        How many dialogues, and which are missing.

    Raises:
        CseError: None of them is there, or most are not: a download that did not end.
    """
    if corpus is None or not (corpus / "data").is_dir():
        got = f"no folder {corpus / 'data'}" if corpus else "no --data-dir"
        raise CseError(f"got {got}, expected the folder of the corpus, which holds data/")
    names = (entry.name for entry in (corpus / "data").iterdir() if entry.is_dir())
    found = {int(name) for name in names if re.fullmatch(r"0|[1-9]\d*", name)}
    if not found:
        raise CseError(
            f"{corpus / 'data'}: got no folder of a dialogue, expected data/0 to data/{DIALOGUES - 1}"
        )
    missing = [number for number in range(DIALOGUES) if number not in found]
    lines = [f"{corpus}: {len(found)} of {DIALOGUES} dialogues"]
    if missing:
        names = ", ".join(map(str, missing[:SHOWN])) + (", …" if len(missing) > SHOWN else "")
        lines.append(f"missing: {len(missing)} dialogues: {names}")
    if not (corpus / "metadata.json").is_file():
        lines.append("no metadata.json, which is not needed")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--corpus", required=True, help="folder that holds data/; empty where it is not known"
    )
    parser.add_argument("--partial", action="store_true", help="do not mind dialogues that are missing")
    options = parser.parse_args()
    try:
        found = check(Path(options.corpus) if options.corpus else None)
    except CseError as error:
        print(f"{DOWNLOAD}\ncheck.py: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    print("  " + found.replace("\n", "\n  "))
    if "missing" in found and not options.partial:
        print(f"{DOWNLOAD}\ncheck.py: dialogues are missing, see above", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
