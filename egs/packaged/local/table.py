"""Put the JSON files of `cse evaluate` side by side, as Markdown for a model card: with intervals and commands."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from cse.evaluation.tables import markdown_table, results_table, written
from cse.files import write_text

Results = Mapping[str, Mapping[str, Any]]


def target_rows(targets: list[dict[str, str]], results: Results) -> Iterator[list[str]]:
    """A row for each number that there is a run of."""
    for target in targets:
        if (result := results.get(target["run"])) is not None:
            count = str(result[target.get("n", "n")])
            yield [target["what"], written(result, target["key"]), count, target["floor"], target["aim"]]


def tables(
    content: Mapping[str, Any], results: Results, folder: Path, *, sets: str, pretrained: Path | None
) -> str:
    """All tables, each under what it says, and the commands, in which `folder` is OUTPUT; `sets` comes first."""
    rows = list(target_rows(content["targets"], results))
    if pretrained is not None:
        size = sum(path.stat().st_size for path in pretrained.rglob("*") if path.is_file())
        rows.append(["size of all packaged models", f"{size / 1e6:.1f} MB", "", "≤ 20 MB", "≤ 12 MB"])
    told = [([words], results[name]) for name, words in content["conditions"].items() if name in results]
    commands = [f"{sets}  # the sets"]
    for result in results.values():
        command = result["settings"].get("command", "").replace(f"{folder}/", "OUTPUT/")
        commands.append(re.sub(r"--model \S*/", "--model ", command))  # by its name, as it will be packaged
    parts = [
        markdown_table(["what", "measured (95 % interval)", "n", "floor", "aim"], rows),
        "The same mixtures, told other things:",
        results_table(["told"], told),
        "\n".join(["```bash", *filter(None, commands), "```"]),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with RUN.json for the runs of --rows")
    parser.add_argument(
        "--rows",
        type=Path,
        default=Path(__file__).with_name("evaluation.yaml"),
        help="what to show (%(default)s)",
    )
    parser.add_argument("--sets", required=True, metavar="COMMAND", help="which made the mixtures")
    parser.add_argument("--pretrained", type=Path, help="folder of the packaged models, for their size")
    parser.add_argument("--output", type=Path, help="Markdown file to write; it is printed too")
    options = parser.parse_args()
    content = yaml.safe_load(options.rows.read_text(encoding="utf-8"))
    runs = dict.fromkeys([*(target["run"] for target in content["targets"]), *content["conditions"]])
    files = {name: options.folder / f"{name}.json" for name in runs}
    results = {
        name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.is_file()
    }
    if not results:
        parser.error(
            f"{options.folder}: got no results, expected some of {', '.join(f'{one}.json' for one in runs)}"
        )
    text = tables(content, results, options.folder, sets=options.sets, pretrained=options.pretrained)
    if options.output is not None:
        write_text(options.output, text)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
