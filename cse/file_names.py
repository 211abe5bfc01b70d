"""Names of files where their content is meant."""

from __future__ import annotations

import os
import re

from cse.errors import HistoryError

_TEXT_FILE = re.compile(r"\S+\.(?:txt|json|jsonl|zip|csv|html?)", re.IGNORECASE)


def refuse_file_name(history: object) -> None:
    """Refuse a string that was meant for a `Path`: read as what was said, it would only make the choice worse.

    Raises:
        HistoryError: It is one line that names a file that is there, or that ends like a chat in a file.

    >>> refuse_file_name("Ana: I put it into chat.txt")
    >>> refuse_file_name("chat.txt")
    Traceback (most recent call last):
    cse.errors.HistoryError: history: got a string with the name of a file, ...
    """
    if not isinstance(history, str) or len(history.splitlines()) != 1:
        return
    if os.path.isfile(history) or _TEXT_FILE.fullmatch(history.strip()):
        raise HistoryError(
            "history: got a string with the name of a file, expected turns, or the text of the conversation; pass "
            "Path(...) to read the file"
        )
