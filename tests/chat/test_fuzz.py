"""Chats that nobody would write: a history, or an error that names the line and quotes nothing."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cse.chat import build_context, open_chat_text
from cse.errors import HistoryError
from cse.history import Turn

SECRET = "Qzxsecretwv"
KEYS = (
    "text content role speaker name time messages history result update_id message chat from date id type envelope "
    "dataMessage syncMessage sentMessage timestamp params ts user files attachments author fileName sender event_id "
    "origin_server_ts m.relates_to body msgtype chunk rooms join timeline events chats list media_type file photo "
    "forward_origin entities subtype user_profile channel guild state_key displayname groupInfo reaction"
).split()
STRINGS = st.sampled_from(
    [SECRET, f"{SECRET}\n[01.03.24, 14:05:33] A: x", "message", "m.room.message", "m.text", "m.audio", "service",
     "Default",
     "2024-03-01T14:05:33", "1709301933.1", "voice_message", "/x", "<@U1|", "a/b.ogg", "\ud83d", "\0", "nan", "1e999"]
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | STRINGS
    | st.sampled_from([10**400, -1, 1709301933000])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=7),
    max_leaves=25,
)
# pieces of which chats are made
PIECES = st.sampled_from(
    [SECRET, "\n", "\r\n", ": ", "Ana", "[", "]", "{", "}", '"', ",", ":", " - ", "01.03.24", "3/1/24", "14:05:33",
     "2:05",
     "\u202fPM", "\u200e", "\u200f", "<attached: a.opus>", "<", ">", "(file attached)", "PTT-20240301-WA0012.opus",
     "\x00",
     '{"messages": [', '{"text": ', "null", "[01.03.24, 14:05:33] Ana: ", "01.03.24, 14:05 - Ana: ", "\ufeff", "٢",
     "年",
     "a. m.", "\\", "\\u", "-", "1", "e9", "~", "\u2028", "PK\x03\x04", "é",
     # what once took hours: a date with very many marks
     "1/" + "\u200e" * 3000, f"{SECRET}: <" + "\u200e" * 150 + ":" + "." * 100, "> <@" + "> " * 3000]
)  # fmt: skip
SETTINGS = settings(
    max_examples=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def check(data: str | bytes) -> None:
    try:
        messages = list(open_chat_text(data).messages())
    except HistoryError as error:
        message = str(error)
        assert re.search(r"\bline \d+", message) or "ZIP" in message  # a ZIP as a whole has no lines
        assert SECRET not in message
        assert "\n" not in message
        return
    try:
        turns = build_context(messages).turns
    except HistoryError as error:  # nothing is wrong with any line, but somebody has to choose
        assert str(error).startswith("got several chats, expected one")
        return
    for turn in turns:
        assert isinstance(turn, Turn)
        assert turn.text == turn.text.strip() != ""
        turn.text.encode("utf-8")


@SETTINGS
@given(st.lists(PIECES, max_size=25).map("".join))
def test_pieces_of_chats(text: str) -> None:
    check(text)
    check(text.encode("utf-8", "surrogatepass"))


@SETTINGS
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_anything(data: str | bytes) -> None:
    check(data)


@SETTINGS
@given(VALUES)
def test_any_json_of_words_that_chats_use(value: object) -> None:
    check(json.dumps(value))


@pytest.fixture(scope="module")
def samples() -> list[str]:
    """A chat of every format, as the tests of the formats have them."""
    telegram, bot, signal, slack, discord, matrix, whatsapp = (
        runpy.run_path(str(Path(__file__).with_name(f"test_{name}.py")))
        for name in (
            "telegram_desktop",
            "telegram_bot",
            "signal_cli",
            "slack",
            "discord",
            "matrix",
            "whatsapp",
        )
    )
    chats = [
        telegram["CHAT"], bot["UPDATES"], [*signal["ENVELOPES"], signal["OURS"]], slack["MESSAGES"],
        discord["EXPORT"], matrix["EVENTS"],
    ]  # fmt: skip
    texts = [json.dumps(chat, indent=indent) for chat in chats for indent in (None, 1)]
    return [text.replace("Where", SECRET) for text in (*texts, *whatsapp["CHATS"].values())]


@SETTINGS
@given(st.data())
def test_damaged_chats(samples: list[str], data: st.DataObject) -> None:
    """Cut, with a piece taken out, and with another one put in."""
    text = data.draw(st.sampled_from(samples))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    if data.draw(st.booleans()):
        end = min(end, start + 3)
    damaged = text[:start] + data.draw(PIECES) + text[end:]
    check(damaged)
    check(damaged.encode()[: data.draw(st.integers(0, 5000))])
