"""Text of other people on a terminal."""

from __future__ import annotations

_JOINING = "\u200d\ufe0f"  # of emoji that are several characters


def printable(text: str) -> str:
    r"""Without control characters: nobody who sends a message shall move the cursor of whoever reads it.

    >>> printable("Ana\x1b[2J")
    'Ana�[2J'
    """
    return "".join(
        character if character.isprintable() or character in _JOINING else "�" for character in text
    )
