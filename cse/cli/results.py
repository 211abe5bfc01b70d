"""What commands write and print of an extraction."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from cse.audio import written_rate
from cse.extraction import Extraction


def save_voice(result: Extraction, output: Path) -> None:
    """Write the voice; what the file does not keep of it is added to the warnings of the result.

    Raises:
        CseError: It cannot be written.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result.save(output)
    result.warnings.extend(str(one.message) for one in caught if one.category is UserWarning)
    rate = written_rate(output, result.sample_rate)
    if rate != result.sample_rate:
        result.warnings.append(
            f"{output.name}: is at {rate} Hz, because Opus does not know the {result.sample_rate} Hz of the recording; "
            ".wav and .flac keep it"
        )


def json_line(value: Any) -> str:
    r"""JSON on one line, its text as it is; only what is no text, from the name of a file, is escaped.

    >>> json_line({"output": "\udcff.wav", "transcript": "Où est le café ?"})
    '{"output": "\\udcff.wav", "transcript": "Où est le café ?"}'
    """
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace").decode()
