"""Voices that a bot holds for a while: those that were found beside the best one, and samples of senders."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cse.bots.settings import BotSettings
from cse.service.settings import MB


@dataclass(frozen=True)
class Voice:
    """One talker of a voice note.

    Attributes:
        audio: OGG/Opus.
        probability: That this talker continues the chat.
        duration_s: Of the recording.
    """

    audio: bytes
    probability: float
    duration_s: float


@dataclass(kw_only=True)
class _Offer:
    chat: str
    note: str
    voices: Sequence[Voice]
    until_s: float
    taken: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Taken:
    """A voice that was asked for.

    Attributes:
        voice: The voice.
        number: Which one it is, from 1.
        of: How many there are.
        note: The voice note in which it is.
        next: By which the next one is asked for; None if it is the last.
    """

    voice: Voice
    number: int
    of: int
    note: str
    next: str | None


class Offers:
    """The voices of the last recordings, by keys that nobody can guess.

    Args:
        settings: How many, and for how long.
        clock: Seconds that only go forward.

    >>> offers = Offers(settings=BotSettings())
    >>> key = offers.add("7", note="2", voices=[Voice(b"a", 0.8, 1.0), Voice(b"b", 0.2, 1.0)], first=1)
    >>> offers.take(key, chat="8"), offers.take(key, chat="7").voice.audio, offers.take(key, chat="7")
    (None, b'b', None)
    """

    def __init__(self, *, settings: BotSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._offers: OrderedDict[str, _Offer] = OrderedDict()  # the oldest first

    def add(self, chat: str, *, note: str, voices: Sequence[Voice], first: int) -> str | None:
        """Hold voices, and give the key of the one at the place `first`; None if there is none there."""
        if first >= len(voices):
            return None
        name = secrets.token_urlsafe(12)
        until_s = self._clock() + 60 * self._settings.offer_min
        self._offers[name] = _Offer(chat=chat, note=note, voices=voices, until_s=until_s)
        sizes = [sum(len(voice.audio) for voice in offer.voices) for offer in self._offers.values()]
        _drop_oldest(self._offers, sizes, max_mb=self._settings.max_offers_mb)
        return f"{name}:{first}"

    def take(self, key: str, *, chat: str) -> Taken | None:
        """The voice of a key, once; None if it was taken, is held no longer, or belongs to another chat."""
        self.sweep()
        name, _, place = key.rpartition(":")
        offer = self._offers.get(name)
        if offer is None or offer.chat != chat or not place.isdecimal():
            return None
        index, count = int(place), len(offer.voices)
        if index >= count or index in offer.taken:
            return None
        offer.taken.add(index)
        following = f"{name}:{index + 1}" if index + 1 < count else None
        return Taken(offer.voices[index], index + 1, count, offer.note, following)

    def forget(self, chat: str) -> None:
        """Let go of the voices of a chat."""
        for name in [name for name, offer in self._offers.items() if offer.chat == chat]:
            del self._offers[name]

    def sweep(self) -> None:
        """Let go of what is too old; to be called now and then."""
        while self._offers and next(iter(self._offers.values())).until_s <= self._clock():
            self._offers.popitem(last=False)


class Samples:
    """How senders sound, in chats that want that to be remembered: the last voice of each that was surely theirs.

    Args:
        settings: How many, and what a sample needs.
    """

    def __init__(self, *, settings: BotSettings) -> None:
        self._settings = settings
        self._wanted: set[str] = set()
        self._samples: OrderedDict[tuple[str, str], bytes] = OrderedDict()  # the oldest first

    def want(self, chat: str) -> None:
        """Remember voices in this chat from now on."""
        self._wanted.add(chat)

    def wanted(self, chat: str) -> bool:
        """Whether voices are remembered in this chat."""
        return chat in self._wanted

    def count(self, chat: str) -> int:
        """How many voices are remembered of this chat."""
        return sum(key[0] == chat for key in self._samples)

    def forget(self, chat: str) -> None:
        """Forget the voices of a chat, and remember none from now on."""
        self._wanted.discard(chat)
        for key in [key for key in self._samples if key[0] == chat]:
            del self._samples[key]

    def sample(self, chat: str, sender: str | None) -> bytes | None:
        """The remembered voice of a sender (OGG/Opus)."""
        return self._samples.get((chat, sender)) if sender is not None else None

    def learn(self, chat: str, sender: str | None, voice: Voice, *, max_duration_s: float) -> None:
        """Remember a voice, if the chat wants that and there is no doubt about it."""
        settings = self._settings
        if (
            sender is None
            or chat not in self._wanted
            or voice.probability < settings.min_sample_probability
            or not settings.min_sample_s <= voice.duration_s <= max_duration_s
        ):
            return
        self._samples.pop((chat, sender), None)
        self._samples[chat, sender] = voice.audio
        _drop_oldest(self._samples, map(len, self._samples.values()), max_mb=settings.max_samples_mb)


def _drop_oldest(held: OrderedDict[Any, Any], sizes: Iterable[int], *, max_mb: float) -> None:
    sizes = list(sizes)
    excess = sum(sizes) - max_mb * MB
    for size in sizes:
        if excess <= 0:
            return
        held.popitem(last=False)
        excess -= size
