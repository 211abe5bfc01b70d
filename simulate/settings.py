"""What a folder of simulated things was made from, so that nothing made from other options is added to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cse.errors import ConfigError, CseError
from cse.files import write_text


def claim_folder(folder: Path, file: str, settings: dict[str, Any], *, holds: str) -> None:
    """Make the folder and write the settings into `file`; refuse a folder of other settings: old and new would mix.

    Args:
        folder: Where things will be made.
        file: Name of the JSON file for the settings.
        settings: All that the things in the folder depend on, as JSON.
        holds: What the folder holds, in the plural, for the message.

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
    changed = [
        key for key, value in settings.items() if not isinstance(before, dict) or before.get(key) != value
    ]
    if changed:
        raise ConfigError(
            f"output {folder}: holds {holds} made with other values of {', '.join(changed)};"
            " delete it or name another folder"
        )
