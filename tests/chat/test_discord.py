"""DiscordChatExporter's JSON."""

from __future__ import annotations

import json
from typing import Any

from cse.chat import ChatMessage, open_chat_text


def message(number: int, content: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number), "type": "Default", "timestamp": "2024-03-01T14:05:33.123+01:00", "timestampEdited": None,
        "callEndedTimestamp": None, "isPinned": False, "content": content,
        "author": {"id": "7", "name": "ana", "discriminator": "0000", "nickname": "Ana", "isBot": False, "roles": []},
        "attachments": [], "embeds": [], "stickers": [], "reactions": [], "mentions": [], **fields,
    }  # fmt: skip


EXPORT = {
    "guild": {"id": "1", "name": "Hikers", "iconUrl": "x"},
    "channel": {"id": "2", "type": "GuildTextChat", "categoryId": "3", "category": "Text", "name": "plans"},
    "dateRange": {"after": None, "before": None},
    "exportedAt": "2024-03-02T00:00:00+01:00",
    "messages": [
        message(1, "Joined the server.", type="GuildMemberJoin"),
        message(2, "Where?"),
        message(3, "", attachments=[{"id": "9", "url": "https://x.org/voice-message.ogg?ex=1"}]),
        message(4, "Here", type="Reply", reference={"messageId": "2"}),
        message(5, "", stickers=[{"id": "1", "name": "wave"}]),
        message(6, "", forwardedMessage={"content": "old words", "attachments": []}),
        message(7, "look", attachments=[{"fileName": "map.png"}]),
    ],
    "messageCount": 7,
}  # fmt: skip


def test_a_channel() -> None:
    export = open_chat_text(json.dumps(EXPORT, indent=2))
    assert export.format == "discord"
    messages = list(export.messages())
    assert messages[1] == ChatMessage(
        "7", "Ana", "Where?", "2024-03-01T14:05:33+01:00", id="2", chat_id="2", chat="plans"
    )
    assert [(m.kind, m.text, m.attachment) for m in messages] == [
        ("system", "Joined the server.", None),
        ("text", "Where?", None),
        ("voice", "", "voice-message.ogg"),
        ("text", "Here", None),
        ("other", "", None),
        ("text", "old words", None),
        ("image", "look", "map.png"),
    ]
    assert messages[5].forwarded_from == "unknown"
