"""How the people of a chat sound, learnt from their own messages: opt-in, local, and theirs to read and delete."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cse.encoders.voice import SpeakerEmbedding
from cse.errors import ConfigError, VoiceBookError
from cse.stored_voices import StoredVoice, StoredVoices, locked, read_voices, write_voices

if TYPE_CHECKING:
    from cse.extraction import Extraction

MAX_NAME = 500
_DIGITS = 6  # of the numbers that are kept


@dataclass(frozen=True)
class Learning:
    """Whether a message taught a `VoiceBook` something; `reason` says why not, None where it did."""

    learnt: bool
    reason: str | None = None


class VoiceBook:
    """Remembers how senders sound: a message that was extracted with high probability enrols its sender for the next.

    Nothing is stored unless a book is given to `Extractor.extract`; then the file holds, for each sender, a mean
    speaker embedding, counts and days, and neither sound nor text. An embedding can tell who somebody is: ask them
    first. The file is for its owner's eyes only (mode 0600); threads and processes may share it.

    A message is learnt from only if its voice is there, is probably the right one, speaks long enough and does not
    sound like somebody else than before. Each one counts the same until there are `memory` of them; from then on the
    older ones fade. After `max_refusals` messages in a row that sound like somebody else, the stored voice was
    probably the wrong one, and is forgotten.

    Args:
        path: A JSON file, made when the first voice is learnt.
        key: Senders are stored as keyed hashes (HMAC-SHA-256) that nobody can trace back without it; keep it apart
            from the file. None stores them as they are given. Without its key a book can be listed, exported and
            deleted from, by the hashes.
        min_probability: What an extraction needs to be learnt from.
        min_speech_s: How much speech, in seconds.
        memory: How many messages the stored voice rests on at most.
        max_refusals: In a row.
        max_voices: When there are more, those go that were not learnt from for longest.

    Example:
        >>> import tempfile
        >>> from cse.testing.models import told_extractor, two_tones
        >>> book = VoiceBook(Path(tempfile.mkdtemp()) / "voices.json", min_probability=0.8)
        >>> extractor = told_extractor()  # or Extractor.from_pretrained()
        >>> result = extractor.extract(
        ...     two_tones(3.0), ["Shall we meet?"], sample_rate=16000, voice_book=book, sender="ben")
        >>> result.learning, list(book.voices())
        (Learning(learnt=True, reason=None), ['ben'])
        >>> book.delete("ben"), book.voice("ben")
        (True, None)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key: bytes | None = None,
        min_probability: float = 0.9,
        min_speech_s: float = 2.0,
        memory: int = 10,
        max_refusals: int = 3,
        max_voices: int = 1000,
    ) -> None:
        if not 0 <= min_probability <= 1 or min(memory, max_refusals, max_voices) < 1 or key == b"":
            raise ConfigError(
                f"voice book: got min_probability={min_probability}, memory={memory}, max_refusals={max_refusals}, "
                f"max_voices={max_voices}; expected a probability, numbers of 1 or more, and a key that is not empty"
            )
        self.path = Path(path)
        self._key = key
        self.min_probability = min_probability
        self.min_speech_s = min_speech_s
        self.memory = memory
        self.max_refusals = max_refusals
        self.max_voices = max_voices

    def voice(self, sender: str) -> SpeakerEmbedding | None:
        """How a sender sounds, for `Extractor.extract(..., enrollment=...)`; None where that is not known.

        Raises:
            VoiceBookError: The file cannot be read, or is no voice book.
            ConfigError: The file was made with another key, or `sender` is no name.
        """
        stored = self._read(needs_key=True).voices.get(self._name(sender))
        if stored is None:
            return None
        return SpeakerEmbedding(
            vector=stored.vector,
            encoder=stored.encoder,
            speech_s=stored.speech_s,
            same_above=stored.same_above,
        )

    def learn(self, sender: str, result: Extraction, voice: SpeakerEmbedding) -> Learning:
        """Learn from an extracted message, if that is safe. `Extractor.extract` does this for the book it is given.

        Args:
            sender: Any stable name of who sent it, or of who speaks.
            result: The extraction.
            voice: `Extractor.embed` of the extracted voice.

        Raises:
            VoiceBookError: The file cannot be read, or is no voice book.
            ConfigError: The file was made with another key, `sender` is no name, or the stored voice is from another
                voice encoder.
            CseError: The file cannot be written.
        """
        name = self._name(sender)
        if (doubt := self._doubt(result, voice)) is not None:
            return Learning(False, doubt)
        with self._changing(needs_key=True) as stored:
            known = stored.voices.get(name)
            today = datetime.now(UTC).date().isoformat()
            if known is None:
                learnt = _first(voice, today)
            elif known.encoder != voice.encoder:
                raise ConfigError(
                    f"{self.path}: got a voice from the encoder {voice.encoder}, expected {known.encoder} as before; "
                    "load the extractor with that one, or delete the stored voice"
                )
            elif (cosine := float(known.vector @ voice.vector)) < voice.same_above:
                return self._refuse(stored, name, known, cosine, voice.same_above)
            else:
                learnt = self._add(known, voice, today)
            stored.voices.pop(name, None)
            stored.voices[name] = learnt  # at the end, as the latest
            while len(stored.voices) > self.max_voices:
                del stored.voices[next(iter(stored.voices))]
        return Learning(True)

    def voices(self) -> dict[str, StoredVoice]:
        """What is stored, by sender, those first that were not learnt from for longest.

        Raises:
            VoiceBookError: The file cannot be read, or is no voice book.
            ConfigError: The file was made with another key.
        """
        return dict(self._read().voices)

    def export(self, sender: str) -> dict[str, Any] | None:
        """Everything that is stored about a sender, as plain values for JSON; None where that is nothing.

        Raises:
            VoiceBookError: As `voices`.
            ConfigError: As `voice`.
        """
        name = self._name(sender)
        stored = self._read().voices.get(name)
        return None if stored is None else {"sender": name, **asdict(stored)}

    def delete(self, sender: str) -> bool:
        """Forget a sender; False where nothing was stored.

        Raises:
            VoiceBookError: As `voices`.
            ConfigError: As `voice`.
            CseError: The file cannot be written.
        """
        name = self._name(sender)
        if name not in self._read().voices:
            return False
        with self._changing() as stored:
            return stored.voices.pop(name, None) is not None

    def clear(self) -> None:
        """Delete the file, whatever is in it; where the path is a link, the link and what it leads to.

        Raises:
            VoiceBookError: The folder is not there or may not be written to.
        """
        with locked(self.path):
            try:
                for path in (Path(os.path.realpath(self.path)), self.path):
                    path.unlink(missing_ok=True)
            except OSError as error:
                raise VoiceBookError(
                    f"{self.path}: cannot delete: {error.strerror}; name a file in a folder that may be written to"
                ) from error

    def _doubt(self, result: Extraction, voice: SpeakerEmbedding) -> str | None:
        """Why an extraction is nothing to learn from."""
        if not result.target_present:
            return "nobody in the recording seems to be the wanted talker"
        if result.abstained or result.probability < self.min_probability:
            return (
                f"got a probability of {result.probability:.2f}, expected at least {self.min_probability:g}"
            )
        if voice.speech_s < self.min_speech_s:
            return f"got {voice.speech_s:.1f} s of speech, expected at least {self.min_speech_s:g} s"
        return None if voice.vector.any() else "there is no voice in it"

    def _add(self, known: StoredVoice, voice: SpeakerEmbedding, today: str) -> StoredVoice:
        weight = min(known.messages, self.memory - 1)
        mean = (weight * np.array(known.mean) + voice.vector) / (weight + 1)
        return replace(
            known,
            mean=_rounded(mean),
            same_above=voice.same_above,
            messages=known.messages + 1,
            speech_s=round(known.speech_s + voice.speech_s, 2),
            refused_in_a_row=0,
            last=today,
        )

    def _refuse(
        self, stored: StoredVoices, name: str, known: StoredVoice, cosine: float, same_above: float
    ) -> Learning:
        reason = f"got a cosine of {cosine:.2f} with the stored voice, expected at least {same_above:.2f}"
        if known.refused_in_a_row + 1 >= self.max_refusals:
            del stored.voices[name]
            return Learning(False, f"{reason}, as often before: the stored voice was forgotten")
        stored.voices[name] = replace(
            known, refused=known.refused + 1, refused_in_a_row=known.refused_in_a_row + 1
        )
        return Learning(False, reason)

    def _name(self, sender: str) -> str:
        """As which a sender is stored."""
        if not isinstance(sender, str) or not 0 < len(sender.strip()) <= len(sender) <= MAX_NAME:
            raise ConfigError(f"sender: expected a name of 1 to {MAX_NAME} characters")
        return sender if self._key is None else _keyed(self._key, f"sender:{sender}")

    def _read(self, *, needs_key: bool = False) -> StoredVoices:
        stored = read_voices(self.path)
        check = None if self._key is None else _keyed(self._key, "key_check")
        if not stored.voices:  # whoever comes first says how names are kept
            return StoredVoices(key_check=check)
        if stored.key_check != check and (needs_key or check is not None):
            raise ConfigError(
                f"{self.path}: got {'no' if check is None else 'a'} key, expected "
                f"{'none' if stored.key_check is None else 'the one'} that the file was made with"
            )
        return stored

    @contextmanager
    def _changing(self, *, needs_key: bool = False) -> Iterator[StoredVoices]:
        """The content, to be changed: read and written as one step among all who use the file."""
        with locked(self.path):
            stored = self._read(needs_key=needs_key)
            yield stored
            write_voices(self.path, stored)


def _keyed(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]


def _first(voice: SpeakerEmbedding, today: str) -> StoredVoice:
    return StoredVoice(
        mean=_rounded(voice.vector),
        encoder=voice.encoder,
        same_above=voice.same_above,
        messages=1,
        speech_s=round(voice.speech_s, 2),
        refused=0,
        refused_in_a_row=0,
        first=today,
        last=today,
    )


def _rounded(mean: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), _DIGITS) for value in mean)
