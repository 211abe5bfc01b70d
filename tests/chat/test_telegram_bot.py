"""Updates of Telegram's Bot API."""

from __future__ import annotations

import json
from typing import Any

from cse.chat import ChatMessage, build_context, open_chat_text

ANA = {"id": 1, "is_bot": False, "first_name": "Ana", "last_name": "López"}
GROUP = {"id": -100, "type": "supergroup", "title": "Hikers"}


def update(number: int, kind: str = "message", **fields: Any) -> dict[str, Any]:
    return {
        "update_id": number,
        kind: {"message_id": number, "date": 1709301933, "chat": GROUP, "from": ANA, **fields},
    }


UPDATES = [
    update(1, text="Where?"),
    update(1, text="Where?"),
    update(2, voice={"file_id": "A", "file_unique_id": "AgAD", "duration": 3, "mime_type": "audio/ogg"}),
    update(3, text="/extract", entities=[{"type": "bot_command", "offset": 0, "length": 8}]),
    update(4, new_chat_members=[ANA]),
    update(5, photo=[{"file_unique_id": "small"}, {"file_unique_id": "large"}], caption="a caption"),
    update(6, text="old", forward_origin={"type": "user", "sender_user": {"id": 2, "first_name": "Cleo"}}),
    update(7, text="older", forward_sender_name="Dora"),
    update(8, text="news", sender_chat={"id": -5, "title": "Channel"}),
    {"update_id": 9, "poll": {"id": "1"}},
    {"update_id": 10, "edited_message": {**update(1)["message"], "text": "Where then?"}},
    update(11, document={"file_name": "report.pdf", "mime_type": "application/pdf", "file_unique_id": "x"}),
]


def read(text: str) -> list[ChatMessage]:
    export = open_chat_text(text)
    assert export.format == "telegram-bot"
    return list(export.messages())


def test_lists_answers_lines_and_lone_updates() -> None:
    messages = read(json.dumps(UPDATES))
    assert read(json.dumps({"ok": True, "result": UPDATES})) == messages
    assert read("\n".join(map(json.dumps, UPDATES))) == messages
    assert read(json.dumps(UPDATES[0])) == messages[:1]
    assert messages[0] == ChatMessage(
        "1", "Ana López", "Where?", "2024-03-01T14:05:33+00:00", id="1", chat_id="-100", chat="Hikers"
    )
    assert [(m.kind, m.text, m.attachment, m.forwarded_from) for m in messages] == [
        ("text", "Where?", None, None),
        ("voice", "", "AgAD", None),
        ("system", "/extract", None, None),
        ("system", "", None, None),
        ("image", "a caption", "large", None),
        ("text", "old", None, "Cleo"),
        ("text", "older", None, "Dora"),
        ("text", "news", None, None),
        ("text", "Where then?", None, None),
        ("file", "", "report.pdf", None),
    ]
    assert messages[7].sender == "Channel"


def test_the_context_has_corrected_words() -> None:
    context = build_context(read(json.dumps(UPDATES)))
    assert [turn.text for turn in context.turns] == ["Where then?", "a caption", "old", "older", "news"]
