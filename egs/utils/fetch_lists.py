"""Fetches the paper's fixed lists (test mixtures, dialogues of the splits) at a pinned commit of their repository.

What is fetched is recorded in OUTPUT/SHA256SUMS: a file that was there before and has changed since is an error, and
`sha256sum --check` can be run on it. The lists have a licence of their own and are not part of this project.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from cse.errors import CseError, one_line
from cse.files import write_text

REPOSITORY = "https://raw.githubusercontent.com/miraodasilva/contextual-speech-extraction"
COMMIT = "63f612addee16cd3de27cc3a4af0b9d5d0aa2ffd"
TIMEOUT_S = 30.0
SUMS = "SHA256SUMS"


def fetch(names: Sequence[str], output: Path, *, source: str) -> dict[str, str]:
    """Make sure that every file is in `output`, and record what it is.

    Args:
        names: Such as ``DailyTalk/test_mix.txt``.
        output: Folder for them; files that are there are checked and not fetched again.
        source: URL or folder that the names are relative to.

    Returns:
        The sha256 of each file by its name.

    Raises:
        CseError: A file cannot be fetched, is no text, or is not what was recorded for it.
    """
    recorded = _recorded(output / SUMS)
    sums = {}
    for name in names:
        path = output / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, _read(name, source))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if recorded.setdefault(name, digest) != digest:
            raise CseError(
                f"{path}: got a file with sha256 {digest}, expected {recorded[name]} as recorded in {SUMS}: it has "
                f"changed since it was fetched; delete {output} to fetch the lists again"
            )
        sums[name] = digest
    write_text(output / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(recorded.items())))
    return sums


def _recorded(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = (line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in lines}


def _read(name: str, source: str) -> str:
    try:
        if "://" in source:
            with urllib.request.urlopen(f"{source}/{name}", timeout=TIMEOUT_S) as response:
                content = response.read()
        else:
            content = (Path(source) / name).read_bytes()
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise CseError(f"{source}/{name}: got no text, expected one of the paper's lists") from None
    except (urllib.error.URLError, OSError) as error:
        raise CseError(
            f"{source}/{name}: cannot fetch: {one_line(error)}; without a network, fetch the folder data/ of that "
            "repository elsewhere and name it with --lists"
        ) from error
    if not text.strip() or text.lstrip().startswith("<"):
        raise CseError(
            f"{source}/{name}: got no list (empty, or a web page), expected one of the paper's lists"
        )
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME", help="such as DailyTalk/test_mix.txt")
    parser.add_argument("--output", type=Path, required=True, help="folder for them")
    parser.add_argument(
        "--commit",
        default=COMMIT,
        help="of their repository; it was looked up when this was written (%(default)s)",
    )
    parser.add_argument(
        "--source", help="folder or URL to take them from instead, as data/ of the repository"
    )
    options = parser.parse_args()
    try:
        source = options.source or f"{REPOSITORY}/{options.commit}/data"
        sums = fetch(options.names, options.output, source=source)
    except CseError as error:
        print(f"fetch_lists.py: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    for name, digest in sums.items():
        print(f"  {name}  sha256 {digest[:16]}…")
    return 0


if __name__ == "__main__":
    sys.exit(main())
