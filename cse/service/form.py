"""Multipart forms as fields: read into memory and never onto the disk, each field at most once."""

from __future__ import annotations

import sys
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from cse.service.errors import ServiceError

_MAX_PARTS = 20
_MAX_NAME_CHARACTERS = 200


class _InMemory(MultiPartParser):
    """Starlette's parser, which would write files of more than 1 MB to the disk."""

    spool_max_size = sys.maxsize


async def read_form(request: Request, known: frozenset[str]) -> tuple[dict[str, bytes], str]:
    """Receive the form of a request.

    Args:
        request: With the form.
        known: The fields that it may have.

    Returns:
        The fields, and what the client calls the field `file`.

    Raises:
        ServiceError: `invalid_request`, `client_gone`, or what the limits of the body say.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise invalid("body", "a form of another type", "multipart/form-data")
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=_MAX_PARTS,
        max_fields=_MAX_PARTS,
        max_part_size=sys.maxsize,  # what counts is the whole body
    )
    try:
        form = await parser.parse()
    except ClientDisconnect:
        raise ServiceError("client_gone", "the client went away while it was sending") from None
    except (MultiPartException, ValueError):  # the latter of charsets that are none, or no text
        raise invalid(
            "body", "a form that is damaged or has too many fields", "multipart/form-data"
        ) from None
    try:
        unknown = form.keys() - known  # before any name comes into a message
        if unknown:
            raise invalid("body", f"{len(unknown)} unknown fields", f"some of {', '.join(sorted(known))}")
        recording = form.get("file")
        file_name = recording.filename if isinstance(recording, UploadFile) else None
        fields = {name: await _content(form, name) for name in form}
    finally:
        await form.close()
    return fields, file_name or ""


async def _content(form: FormData, name: str) -> bytes:
    values = form.getlist(name)
    if len(values) > 1:
        raise invalid(name, f"{len(values)} of them", "one")
    value = values[0]
    if isinstance(value, UploadFile):
        return await value.read()
    try:
        return value.encode()
    except UnicodeError:  # a lone half of a character, as some charsets have it
        raise invalid("body", "text that is none in its charset", "UTF-8") from None


def choice_of(form: dict[str, bytes], name: str, choices: tuple[str, ...], default: str) -> Any:
    """A field that is one of some words.

    Raises:
        ServiceError: It is another one.

    >>> choice_of({"audio_format": b"wav"}, "audio_format", ("ogg", "wav"), "ogg")
    'wav'
    """
    value = form.get(name, default.encode()).decode("utf-8", "replace")
    if value not in choices:
        raise invalid(name, "another value", f"one of {', '.join(choices)}")
    return value


def name_of(form: dict[str, bytes], field: str) -> str | None:
    """A field that names something, without the white space around it; None if it is not there or blank.

    Raises:
        ServiceError: It is too long.

    >>> name_of({"at": b" my  note.ogg\\n"}, "at")  # two blanks, as the file is called
    'my  note.ogg'
    """
    name = form.get(field, b"").decode("utf-8", "replace").strip()
    if len(name) > _MAX_NAME_CHARACTERS:
        raise invalid(field, f"{len(name)} characters", f"at most {_MAX_NAME_CHARACTERS}")
    return name or None


def base_name(path: str) -> str | None:
    """The name of a file without its folders, of either kind; None if there is none.

    >>> base_name("C:/notes/a.ogg"), base_name("")
    ('a.ogg', None)
    """
    return path.replace("\\", "/").rpartition("/")[2][:_MAX_NAME_CHARACTERS] or None


def invalid(field: str, got: str, expected: str) -> ServiceError:
    """The error for a field that is not as it should be."""
    return ServiceError("invalid_request", f"{field}: got {got}, expected {expected}")
