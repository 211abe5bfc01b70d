"""The token of a bot: it comes from the environment or a file, which nobody else sees, and is never told."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cse.errors import ConfigError


def read_token(path: str | Path | None, *, variable: str, form: re.Pattern[str], expected: str) -> str:
    """Read a token.

    Args:
        path: A file with nothing else in it; None takes the environment variable.
        variable: Its name.
        form: What tokens look like.
        expected: What is expected, and where people get it.

    Raises:
        ConfigError: There is none, or it is no token; the message does not hold it.
    """
    if path is None:
        source, text = variable, os.environ.get(variable, "")
    else:
        source = str(path)
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no UTF-8 text"
            raise ConfigError(
                f"{path}: cannot read the token: {reason}; expected a file with the token only"
            ) from None
    token = text.strip()
    if not form.fullmatch(token):
        got = "something else" if token else "nothing"
        raise ConfigError(
            f"{source}: got {got}, expected {expected}, and it is read from {variable} or from the file that "
            "--token-file names"
        )
    return token
