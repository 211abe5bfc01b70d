"""Days of a Slack export, and answers of its API."""

from __future__ import annotations

import json
from typing import Any

from cse.chat import ChatMessage, build_context, open_chat_text


def message(text: str, second: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "type": "message", "user": "U1", "text": text, "ts": f"17093019{33 + second}.000100",
        "user_profile": {"display_name": "", "real_name": "Ana López", "name": "ana"}, **fields,
    }  # fmt: skip


CLIP = {"id": "F1", "name": "audio_message.m4a", "mimetype": "video/mp4", "subtype": "slack_audio"}
MESSAGES = [
    message("<@U1> has joined the channel", subtype="channel_join"),
    message(
        "Where, <@U2|ben>? See <https://example.org|the map> &amp; <#C1|hikes> <!here> <mailto:a@b.org>", 1
    ),
    message("", 2, subtype="file_share", files=[CLIP]),
    message("typo", 3),
    {"type": "message", "subtype": "message_changed", "ts": "1709301937.0", "message": message("no typo", 3)},
    message("gone", 5),
    {
        "type": "message",
        "subtype": "message_deleted",
        "deleted_ts": "1709301938.000100",
        "ts": "1709301939.0",
    },
    message("", 6, files=[{"id": "F2", "mode": "tombstone"}]),
    message("", 7, attachments=[{"is_share": True, "author_name": "Cleo", "text": "old words"}]),
    message("beep", 8, subtype="bot_message", user=None, username="Robot", bot_id="B1", user_profile=None),
]


def read(text: str) -> list[ChatMessage]:
    export = open_chat_text(text)
    assert export.format == "slack"
    return list(export.messages())


def test_days_and_answers() -> None:
    messages = read(json.dumps(MESSAGES, indent=4))
    # conversations.history lists the newest first; a list that was turned round already stays as it is
    for answered in (MESSAGES[::-1], MESSAGES):
        assert read(json.dumps({"ok": True, "messages": answered, "has_more": False})) == messages
    assert read(json.dumps(MESSAGES[::-1])) == messages
    assert messages[1] == ChatMessage(
        "U1", "Ana López", "Where, @ben? See the map & #hikes @here a@b.org", "2024-03-01T14:05:34+00:00",
        id="1709301934.000100",
    )  # fmt: skip
    assert [(m.kind, m.attachment, m.forwarded_from) for m in messages] == [
        ("system", None, None),
        ("text", None, None),
        ("voice", "audio_message.m4a", None),
        ("text", None, None),
        ("text", None, None),
        ("text", None, None),
        ("deleted", None, None),
        ("other", None, None),
        ("text", None, "Cleo"),
        ("text", None, None),
    ]


def test_the_context() -> None:
    context = build_context(read(json.dumps(MESSAGES)))
    assert [turn.text for turn in context.turns][1:] == ["no typo", "old words", "beep"]
    assert context.turns[-1].speaker == "Robot"
    assert build_context(read(json.dumps(MESSAGES)), audio="audio_message.wav").target == "Ana López"


def test_entities_that_slack_does_not_write_are_words() -> None:
    """Python's own `html.unescape` raises ValueError at a number of more than 4,300 digits."""
    number = "&#" + "9" * 5000 + ";"
    (only,) = read(json.dumps([message(f"&amp;lt; &lt;b&gt; &copy; {number}")]))
    assert only.text == f"&lt; <b> &copy; {number}"
