"""Word errors of a transcript; differences of case, punctuation and spaces are none."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from cse.errors import MissingExtraError


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Wrong, missing and additional words, and all words of the reference; they add up over a corpus."""

    errors: int
    reference_words: int

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(self.errors + other.errors, self.reference_words + other.reference_words)

    @property
    def rate(self) -> float | None:
        """Word error rate, 0 upwards; None when the reference has no word."""
        return self.errors / self.reference_words if self.reference_words else None


def normalize_text(text: str) -> str:
    """Lower-case words with single spaces between them; only the apostrophes inside words stay.

    >>> normalize_text("  It’s 5 o'clock -- “Really?”  ")
    "it's 5 o'clock really"
    """
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    text = re.sub(r"[^\w']|_", " ", text)
    return " ".join(word for word in (part.strip("'") for part in text.split()) if word)


def count_word_errors(transcript: str, reference: str) -> WordErrors:
    """Fewest word edits from the reference to the transcript, both normalised first.

    Raises:
        MissingExtraError: the package `jiwer` is not installed.

    >>> count_word_errors("on the third", "On the third of May.")
    WordErrors(errors=2, reference_words=5)
    """
    try:
        import jiwer
    except ImportError as error:
        raise MissingExtraError(feature="WER", extra="metrics", package="jiwer") from error
    said, heard = normalize_text(reference), normalize_text(transcript)
    if not said:  # jiwer refuses empty references
        return WordErrors(errors=len(heard.split()), reference_words=0)
    output = jiwer.process_words(said, heard)
    return WordErrors(
        errors=output.substitutions + output.deletions + output.insertions, reference_words=len(said.split())
    )
