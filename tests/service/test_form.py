"""Forms as clients send them, with charsets that nobody should use."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("python_multipart", reason='needs: pip install "cse[service]"')
pytest.importorskip("fastapi", reason='needs: pip install "cse[service]"')

from fastapi import Request

from cse.service.errors import ServiceError
from cse.service.form import read_form


def received(*parts: tuple[bytes, bytes], charset: bytes = b"utf-8") -> tuple[dict[str, bytes], str]:
    """The form of parts, each a name (and what may follow it) and a value."""
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % part for part in parts
    )

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body + b"--x--\r\n", "more_body": False}

    kind = b"multipart/form-data; boundary=x; charset=" + charset
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind)]}
    return asyncio.run(read_form(Request(scope, receive), frozenset({"file", "history"})))


def test_fields_and_the_name_of_the_file() -> None:
    fields, name = received(
        (b"history", "Ana: Où ?".encode()), ('file"; filename="é.ogg'.encode(), b"\x00\xff")
    )
    assert fields == {"history": "Ana: Où ?".encode(), "file": b"\x00\xff"}
    assert name == "é.ogg"


@pytest.mark.parametrize(
    ("charset", "value"),
    [(b"utf-7", b"+2AA-"), (b"unicode_escape", rb"\ud800"), (b"a\0b", b"Ana: Hi")],
)
def test_text_that_is_none_is_a_wrong_body(charset: bytes, value: bytes) -> None:
    with pytest.raises(ServiceError, match="^body: got ") as caught:
        received((b"history", value), charset=charset)
    assert caught.value.code == "invalid_request"


def test_names_of_unknown_fields_are_in_no_message() -> None:
    with pytest.raises(ServiceError, match="^body: got 1 unknown fields, expected some of file, history$"):
        received((rb"\ud800", b"1"), (rb"\ud800", b"2"), charset=b"unicode_escape")


def test_a_field_comes_once() -> None:
    with pytest.raises(ServiceError, match="^history: got 2 of them, expected one$"):
        received((b"history", b"1"), (b"history", b"2"))
