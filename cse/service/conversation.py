"""The conversation of a request as turns: the one place where the service reads histories."""

from __future__ import annotations

from typing import Literal, get_args

from cse.chat import parse_history
from cse.errors import HistoryError
from cse.history import Turn

HistoryFormat = Literal["auto", "text", "json"]
HISTORY_FORMATS: tuple[str, ...] = get_args(HistoryFormat)


def read_conversation(data: bytes, history_format: str) -> list[Turn]:
    """Read what was sent as `messages` (format json) or `history`.

    Args:
        data: UTF-8 text.
        history_format: One of `HISTORY_FORMATS`; auto tells it from the content.

    Raises:
        HistoryError: It cannot be read.

    >>> read_conversation(b'[{"speaker": "Ana", "text": "Hi"}]', "json")
    [Turn(text='Hi', speaker='Ana', time=None)]
    """
    if history_format == "json" and data.lstrip()[:1] not in (b"[", b"{"):
        raise HistoryError('got no JSON, expected a list of {"speaker", "text"} or {"role", "content"}')
    return parse_history(data)
