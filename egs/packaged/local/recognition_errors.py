"""What a recogniser might make of a text that nobody spoke: words lost, put in, and mistaken for similar ones."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)*")
# consonants that recognisers confuse, and what is not heard at all
_SOUNDS = str.maketrans("bpvfdtgkqcjzsxmnlrwhyaeiou", "ppffttkkkkssssmmlr........")


def spoken_words(text: str) -> list[str]:
    """The words of a text as recognisers without punctuation write them.

    Example:
        >>> spoken_words("Umm…. What's THE budget?")
        ['umm', "what's", 'the', 'budget']
    """
    return _WORD.findall(text.lower().replace("’", "'"))


def sound(word: str) -> str:
    """A crude key that words of similar sound share: first letter's class and the consonants after it.

    Example:
        >>> sound("dollars") == sound("tailors"), sound("dollars") == sound("cat")
        (True, False)
    """
    classes = word.replace("ph", "f").replace("wh", "w").translate(_SOUNDS)
    kept = "".join(letter for letter in classes if letter != "." and letter.isalpha())
    short = "".join(letter for before, letter in zip(" " + kept, kept, strict=False) if letter != before)
    return ("" if classes[0] != "." else ".") + short


class RecognitionErrors:
    """Changes words of texts as recognisers do.

    Args:
        texts: What the vocabulary is taken from: words that come in by mistake are frequent ones.
        vocabulary_size: How many of the most frequent words a recogniser may hear by mistake.
        substituted, deleted, inserted: How the errors share among the kinds; positive numbers.

    Example:
        >>> errors = RecognitionErrors(["i see the sea", "we see it"])
        >>> errors.hear("We see the Sea!", 0.0, random.Random(0))
        [('we', True), ('see', True), ('the', True), ('sea', True)]
    """

    def __init__(
        self,
        texts: Iterable[str],
        *,
        vocabulary_size: int = 8000,
        substituted: float = 0.62,
        deleted: float = 0.23,
        inserted: float = 0.15,
    ) -> None:
        counts = Counter(word for text in texts for word in spoken_words(text))
        frequent = counts.most_common(vocabulary_size)
        self._words = [word for word, _ in frequent]
        self._weights = [count**0.75 for _, count in frequent]
        self._alike: dict[str, list[str]] = {}
        for word in self._words:
            self._alike.setdefault(sound(word), []).append(word)
        self._kinds = [substituted, deleted, inserted]

    def hear(self, text: str, error_rate: float, rng: random.Random) -> list[tuple[str, bool]]:
        """The heard words, and whether each was said.

        Args:
            text: What was said.
            error_rate: Expected errors per word (WER), 0 to 1.
            rng: Decides.
        """
        heard: list[tuple[str, bool]] = []
        for word in spoken_words(text):
            if rng.random() >= error_rate:
                heard.append((word, True))
                continue
            kind = rng.choices(("substituted", "deleted", "inserted"), self._kinds)[0]
            if kind == "substituted":
                heard.append((self._mistaken(word, rng), False))
            elif kind == "inserted":
                heard += [(word, True), (self._any(rng), False)]
        return heard

    def _mistaken(self, word: str, rng: random.Random) -> str:
        alike = [other for other in self._alike.get(sound(word), ()) if other != word]
        return rng.choice(alike) if alike and rng.random() < 0.75 else self._any(rng)

    def _any(self, rng: random.Random) -> str:
        return rng.choices(self._words, self._weights)[0]
