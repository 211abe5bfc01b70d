"""Fields of messages in JSON: each taken if it has the form that it should have, and left out if not.

An export of years of chat is not refused because one message in it is odd.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cse.chat.message import Kind

_NOTHING: Mapping[str, Any] = {}
_VOICE = frozenset("opus ogg oga amr".split())
_AUDIO = frozenset("aac m4a mp3 wav flac caf wma aif aiff".split())
_IMAGE = frozenset("jpg jpeg png gif webp heic bmp tif tiff svg avif".split())
_VIDEO = frozenset("mp4 mov 3gp webm mkv avi m4v".split())


def text_of(value: object) -> str:
    """Words without white space at the ends, halves of characters replaced; empty for anything else.

    >>> text_of(" Hi \\ud83d"), text_of(None)
    ('Hi �', '')
    """
    if not isinstance(value, str):
        return ""
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value.strip()


def name_of(value: object) -> str | None:
    """A name, an address or an id (as text); None for anything else, and for an empty one.

    >>> name_of("Ana"), name_of(12), name_of(""), name_of([1])
    ('Ana', '12', None, None)
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64:
        return str(value)
    return text_of(value) or None


def object_of(value: object) -> Mapping[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def objects_of(value: object) -> Sequence[Mapping[str, Any]]:
    """The objects of a list; none for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def file_of(value: object) -> str | None:
    """The name of a file, of whatever path or address it was written as.

    >>> file_of("voice_messages/audio_1.ogg"), file_of("https://example.org/a/b.ogg?ex=1"), file_of(None)
    ('audio_1.ogg', 'b.ogg', None)
    """
    text = text_of(value)
    if "://" in text:
        text = text.split("?")[0].split("#")[0]
    return text.replace("\\", "/").rstrip("/").rpartition("/")[2] or None


def utc_time(value: object, *, per_second: int = 1) -> str | None:
    """Seconds (or parts of them) since 1970, as a number or as text, in ISO 8601.

    >>> utc_time("1709301933.000100"), utc_time(1709301933123, per_second=1000)
    ('2024-03-01T14:05:33+00:00', '2024-03-01T14:05:33+00:00')
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return datetime.fromtimestamp(float(value) // per_second, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def iso_time(value: object) -> str | None:
    """A date and time in ISO 8601, without parts of seconds; anything else as it was written.

    >>> iso_time("2024-03-01T14:05:33.123+01:00"), iso_time("12:30")
    ('2024-03-01T14:05:33+01:00', '12:30')
    """
    text = text_of(value)
    if len(text) > 19 and text[19] == ".":
        text = text[:19] + text[20:].lstrip("0123456789")
    return text or None


def media_kind(mime: object, file: str | None = None) -> Kind:
    """What an attachment is, by its media type, else by its name.

    >>> media_kind("audio/aac"), media_kind(None, "a.opus"), media_kind("", "a.pdf")
    ('audio', 'voice', 'file')
    """
    family = text_of(mime).partition("/")[0]
    if family in ("audio", "image", "video"):
        return family  # type: ignore[return-value]
    suffix = (file or "").rpartition(".")[2].lower()
    if suffix in _VOICE:
        return "voice"
    if suffix in _AUDIO:
        return "audio"
    if suffix in _IMAGE:
        return "image"
    return "video" if suffix in _VIDEO else "file"
