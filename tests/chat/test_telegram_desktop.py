"""Telegram Desktop's result.json, of one chat and of all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cse.chat import ChatMessage, open_chat_text, parse_history
from cse.errors import HistoryError


def message(number: int, text: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": number, "type": "message", "date": "2024-03-01T14:05:33", "date_unixtime": "1709301933", "from": "Ana",
        "from_id": "user1", "text": text, "text_entities": [], **fields,
    }  # fmt: skip


MESSAGES = [
    {
        "id": 1,
        "type": "service",
        "date": "2024-03-01T14:00:00",
        "actor": "Ana",
        "action": "create_group",
        "text": "",
    },
    message(2, "Where?"),
    message(
        3, ["See ", {"type": "bold", "text": "this"}, ": ", {"type": "link", "text": "https://example.org"}]
    ),
    message(
        4, "", file="voice_messages/audio_1@01-03-2024.ogg", media_type="voice_message", mime_type="audio/ogg"
    ),
    message(5, "a caption", photo="photos/photo_1.jpg", width=1, height=1),
    message(
        6, "", file="(File not included. Change data exporting settings to download.)", media_type="sticker"
    ),
    message(7, "old words", forwarded_from="Cleo", **{"from": None, "from_id": "user9"}),
    message(8, "", file="files/report.pdf", mime_type="application/pdf"),
    message(9, "", location_information={"latitude": 1.0, "longitude": 2.0}),
    message(10, 5),
    "odd",
]
CHAT = {"name": "Ana", "type": "personal_chat", "id": 77, "messages": MESSAGES}


def read(content: Any) -> list[ChatMessage]:
    export = open_chat_text(json.dumps(content, ensure_ascii=False, indent=1))
    assert export.format == "telegram"
    return list(export.messages())


def test_one_chat() -> None:
    messages = read(CHAT)
    assert messages[1] == ChatMessage(
        "user1", "Ana", "Where?", "2024-03-01T14:05:33", id="2", chat_id="77", chat="Ana"
    )
    assert [(m.kind, m.text, m.attachment) for m in messages] == [
        ("system", "", None),
        ("text", "Where?", None),
        ("text", "See this: https://example.org", None),
        ("voice", "", "audio_1@01-03-2024.ogg"),
        ("image", "a caption", "photo_1.jpg"),
        ("other", "", None),
        ("text", "old words", None),
        ("file", "", "report.pdf"),
        ("other", "", None),
        ("text", "", None),
        ("system", "", None),
    ]
    assert (messages[6].sender, messages[6].sender_id, messages[6].forwarded_from) == (None, "user9", "Cleo")
    assert [turn.text for turn in parse_history(json.dumps(CHAT))] == [
        "Where?", "See this: https://example.org", "a caption", "old words"
    ]  # fmt: skip


def test_all_chats() -> None:
    other = {"name": None, "type": "private_group", "id": 5, "messages": [message(1, "elsewhere")]}
    saved = {"type": "saved_messages", "id": 6, "messages": [message(1, "to myself")]}
    messages = read(
        {
            "about": "x",
            "personal_information": {"first_name": "Ana", "bio": "[{"},
            "contacts": {"about": "x", "list": [{"first_name": "Ben", "date": "2024"}] * 3},
            "chats": {"about": "x", "list": [CHAT, other, saved]},
            "left_chats": {"list": [{"name": "gone", "id": 8, "messages": [message(1, "bye")]}]},
        }
    )
    assert {(m.chat_id, m.chat) for m in messages} == {("77", "Ana"), ("5", None), ("6", None), ("8", "gone")}
    assert messages[-1].text == "bye"


def test_an_empty_chat_is_an_empty_history() -> None:
    assert parse_history('{"name": "Ana", "type": "personal_chat", "id": 1, "messages": []}') == []


def test_a_damaged_export_names_the_line() -> None:
    text = json.dumps(CHAT, indent=1)
    cut = text[: text.index("old words") + 4]
    with pytest.raises(HistoryError, match=r"^line \d+, column \d+: broken JSON") as caught:
        parse_history(cut)
    assert f"line {cut.count(chr(10)) + 1}," in str(caught.value)
