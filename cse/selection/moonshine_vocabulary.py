"""The tokens of Moonshine: reading their file, and joining them to words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cse.errors import CheckpointError

START, END = 1, 2
"""Numbers of the tokens that every text begins and ends with."""

TEXT_TOKENS = 32000
"""Tokens from here on are reserved, and stand for nothing that is said."""

_WORD_START = "▁".encode()  # how the file writes a leading blank
_LONG = 128  # a first byte from here on is the low part of a length in two bytes


class Token(NamedTuple):
    """A recognised piece of a word, with the natural logarithm of its probability."""

    number: int
    log_probability: float


def read_vocabulary(path: Path) -> list[bytes]:
    """Read what each token stands for: length and UTF-8 bytes, one after the other.

    Raises:
        CheckpointError: The file ends in the middle of a token.
    """
    content, position, pieces = path.read_bytes(), 0, []
    while position < len(content):
        length, position = content[position], position + 1
        if length >= _LONG and position < len(content):
            length, position = length - _LONG + _LONG * content[position], position + 1
        pieces.append(content[position : position + length])
        position += length
    if position > len(content):
        raise CheckpointError(
            f"{path}: got a file that ends in a token, expected a whole one; fetch it again"
        )
    return pieces


def join_words(tokens: Sequence[Token], vocabulary: Sequence[bytes]) -> list[tuple[str, list[Token]]]:
    """Join tokens to words, with punctuation as written; what has neither letter nor digit is no word.

    Args:
        tokens: Of a text, without its start and end.
        vocabulary: What each stands for.

    Returns:
        Each word with the tokens that have its letters and digits.

    Example:
        >>> tokens = [Token(0, -0.1), Token(1, -0.2), Token(2, -0.9), Token(3, -0.1)]
        >>> words = join_words(tokens, ["▁bud".encode(), b"get", b"?", "▁-".encode()])
        >>> [(text, len(spoken)) for text, spoken in words]
        [('budget?', 2)]
    """
    groups: list[list[Token]] = []
    for token in tokens:
        if vocabulary[token.number].startswith(_WORD_START) or not groups:
            groups.append([])
        groups[-1].append(token)
    words = []
    for group in groups:
        text = _text(group, vocabulary)
        if any(character.isalnum() for character in text):
            words.append((text, [token for token in group if _speaks(vocabulary[token.number])]))
    return words


def _text(tokens: Sequence[Token], vocabulary: Sequence[bytes]) -> str:
    content = b"".join(vocabulary[token.number] for token in tokens)
    return content.replace(_WORD_START, b"").decode(errors="replace").strip()


def _speaks(piece: bytes) -> bool:
    """Whether a piece is more than punctuation; single bytes of a longer letter are."""
    return any(character.isalnum() or character == "\ufffd" for character in piece.decode(errors="replace"))
