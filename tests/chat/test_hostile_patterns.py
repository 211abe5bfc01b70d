"""Texts of strangers that are made to match in very many ways are read in no time.

What is measured is the processor's time and not the clock's, and the limit is some thousand times what it takes.
"""

from __future__ import annotations

import json
import signal
import zipfile
from collections.abc import Iterator
from io import BytesIO

import pytest

from cse.chat import build_context, open_chat_text

LIMIT_S = 20
MARK = "\u200e"
START = "[01.03.24, 14:05:33] Ana: "


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {LIMIT_S} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)  # regular expressions look at signals while they match
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


def reply(body: str) -> str:
    content = {"msgtype": "m.text", "body": body, "m.relates_to": {"m.in_reply_to": {"event_id": "$1"}}}
    event = {"type": "m.room.message", "sender": "@a:x", "origin_server_ts": 1, "content": content}
    return json.dumps([event])


def channels(count: int) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number:065000}.json", "[]")
        archive.writestr("general/2024-03-01.json", "[]")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        pytest.param(f"1/{MARK * 2000}1/{MARK * 2000}x", "text", id="marks in a date"),
        pytest.param(f"[{MARK * 9}1/1/24{MARK * 100_000}" * 9, "text", id="marks around a date"),
        pytest.param(
            f"{START}{MARK * 60}<{MARK * 40}:{MARK * 50}{'.' * 60}\n" * 500, "whatsapp", id="marks in a file"
        ),
        pytest.param(f"{START}{'a.b (abc).' * 20}{MARK * 100_000}x", "whatsapp", id="files in brackets"),
        pytest.param(f"{START}{'<' * 9000}{'>' * 9000}", "whatsapp", id="angle brackets"),
        pytest.param(f"{START}{'[Forwarded] ' * 90_000}", "whatsapp", id="forwarded very often"),
        pytest.param(f"{START}{'a.b (file attached) ' * 9000}", "whatsapp", id="very many files"),
        pytest.param(f"{START}{'Location: 1, 1 - ' * 90_000}", "whatsapp", id="very many places"),
        pytest.param(reply("> <@" + "> " * 500_000), "matrix", id="quotations without an end"),
        pytest.param(("x" + " " * 500_000) * 2 + ": y", "text", id="blanks behind a name"),
        pytest.param(channels(20), "slack", id="names of folders"),
    ],
)
def test_a_text_that_matches_in_many_ways(text: str | bytes, format_: str) -> None:
    export = open_chat_text(text)
    assert export.format == format_
    build_context(export.messages())
