"""What a folder of simulated things was made from, so that nothing made from other options is added to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cse.errors import ConfigError, CseError
from cse.files import write_text


def claim_folder(
    folder: Path,
    file: str,
    settings: dict[str, Any],
    *,
    holds: str,
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Make the folder and write the settings into `file`; refuse a folder of other settings: old and new would mix.

    Args:
        folder: Where things will be made.
        file: Name of the JSON file for the settings.
        settings: All that the things in the folder depend on, as JSON.
        holds: What the folder holds, in the plural, for the message.
        defaults: What settings are that `file` lacks, because an earlier version did not know them, by dotted key, as
            JSON. What `file` has beyond the settings, is of a version that knew more, and decides nothing now.

    Raises:
        ConfigError: The folder holds things made with other values.
        CseError: The folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CseError(
            f"output {folder}: cannot make the folder: {error.strerror}; name another one"
        ) from error
    path = folder / file
    if not path.is_file():
        write_text(path, json.dumps(settings, indent=2, sort_keys=True) + "\n")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        before = {}
    before = before if isinstance(before, dict) else {}
    known = {**(defaults or {}), **before}
    in_parts = {key[:end] for key in before for end, letter in enumerate(key) if letter == "."}
    changed = [key for key, value in settings.items() if key in in_parts or known.get(key) != value]
    if changed:
        raise ConfigError(
            f"output {folder}: holds {holds} made with other values of {', '.join(changed)};"
            " delete it or name another folder"
        )
