"""What signal-cli writes with --output=json."""

from __future__ import annotations

import json
from typing import Any

from cse.chat import ChatMessage, build_context, open_chat_text


def envelope(time: int, **content: Any) -> dict[str, Any]:
    return {
        "envelope": {
            "source": "+491701", "sourceNumber": "+491701", "sourceUuid": "uuid-ana", "sourceName": "Ana",
            "sourceDevice": 1, "timestamp": time, **content,
        },
        "account": "+491702",
    }  # fmt: skip


def data(time: int, text: str | None, **fields: Any) -> dict[str, Any]:
    return {"timestamp": time, "message": text, "expiresInSeconds": 0, "viewOnce": False, **fields}


T = 1709301933000
VOICE = {"contentType": "audio/aac", "filename": None, "id": "abc.m4a", "size": 5}
ENVELOPES = [
    envelope(T, typingMessage={"action": "STARTED", "timestamp": T}),
    envelope(T, dataMessage=data(T, "Where?")),
    envelope(T + 1, receiptMessage={"when": T, "isDelivery": True}),
    envelope(T + 2, dataMessage=data(T + 2, None, attachments=[VOICE])),
    envelope(T + 3, dataMessage=data(T + 3, None, reaction={"emoji": "👍", "targetSentTimestamp": T})),
    envelope(T + 4, dataMessage=data(T + 4, "wrong")),
    envelope(T + 5, dataMessage=data(T + 5, None, remoteDelete={"timestamp": T + 4})),
    envelope(T + 6, editMessage={"targetSentTimestamp": T, "dataMessage": data(T + 6, "Where then?")}),
]
SENT = {
    "destination": "+491701", "destinationNumber": "+491701", "destinationUuid": "uuid-ana", **data(T + 7, "Here")
}  # fmt: skip
OURS = {
    "envelope": {
        "sourceNumber": "+491702", "sourceUuid": "uuid-ben", "sourceName": "Ben", "timestamp": T + 7,
        "syncMessage": {"sentMessage": SENT},
    },
    "account": "+491702",
}  # fmt: skip


def read(items: list[dict[str, Any]]) -> list[ChatMessage]:
    export = open_chat_text("\n".join(map(json.dumps, items)))
    assert export.format == "signal"
    return list(export.messages())


def test_lines_lists_and_json_rpc() -> None:
    messages = read([*ENVELOPES, OURS])
    assert list(open_chat_text(json.dumps([*ENVELOPES, OURS])).messages()) == messages
    assert (
        read([{"jsonrpc": "2.0", "method": "receive", "params": item} for item in [*ENVELOPES, OURS]])
        == messages
    )
    assert messages[0] == ChatMessage(
        "uuid-ana", "Ana", "Where?", "2024-03-01T14:05:33+00:00", id=str(T), chat_id="uuid-ana", chat="Ana"
    )
    assert [(m.kind, m.text, m.attachment) for m in messages] == [
        ("text", "Where?", None),
        ("voice", "", "abc.m4a"),
        ("system", "", None),
        ("text", "wrong", None),
        ("deleted", "", None),
        ("text", "Where then?", None),
        ("text", "Here", None),
    ]
    assert (messages[-1].sender, messages[-1].chat_id) == ("Ben", "uuid-ana")


def test_the_context_has_what_was_corrected_and_not_what_was_taken_back() -> None:
    context = build_context(read([*ENVELOPES, OURS]))
    assert [(turn.speaker, turn.text) for turn in context.turns] == [("Ana", "Where then?"), ("Ben", "Here")]


def test_empty_fields_say_nothing() -> None:
    """As signal-cli of 2021 writes them into every message."""
    empty: dict[str, Any] = {"reaction": None, "sticker": None, "mentions": [], "contacts": []}
    messages = read(
        [
            envelope(T, dataMessage=data(T, "Hi", attachments=[], **empty)),
            envelope(T + 1, dataMessage=data(T + 1, None, attachments=[VOICE], **empty)),
            envelope(T + 2, dataMessage=data(T + 2, None, **{**empty, "contacts": [{"name": {}}]})),
            envelope(T + 3, dataMessage=data(T + 3, None, **{**empty, "sticker": {"packId": "x"}})),
        ]
    )
    assert [(m.kind, m.text, m.attachment) for m in messages] == [
        ("text", "Hi", None),
        ("voice", "", "abc.m4a"),
        ("other", "", None),
        ("other", "", None),
    ]


def test_groups() -> None:
    group = {"groupId": "g==", "groupName": "Hikers", "type": "DELIVER"}
    (message,) = read([envelope(T, dataMessage=data(T, "Hi", groupInfo=group))])
    assert (message.chat_id, message.chat) == ("g==", "Hikers")
    (message,) = read(
        [envelope(T, dataMessage=data(T, None, groupInfo={"groupId": "g==", "type": "UPDATE"}))]
    )
    assert message.kind == "system"
