"""Matrix events, from Element and from the client-server API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cse.chat import ChatMessage, build_context, open_chat_text


def event(
    number: int, type_: str = "m.room.message", sender: str = "@ana:example.org", **content: Any
) -> dict[str, Any]:
    return {
        "type": type_, "sender": sender, "content": content, "origin_server_ts": 1709301933000 + number,
        "event_id": f"${number}", "unsigned": {"age": 5},
    }  # fmt: skip


def text(number: int, body: str, **content: Any) -> dict[str, Any]:
    return event(number, msgtype="m.text", body=body, **content)


EVENTS = [
    {**event(1, "m.room.member", displayname="Ana", membership="join"), "state_key": "@ana:example.org"},
    text(2, "Where?"),
    event(3, msgtype="m.audio", body="Voice message.ogg", url="mxc://x/y", **{"org.matrix.msc3245.voice": {}}),
    event(4, sender="@ben:example.org", msgtype="m.text", body="> <@ana:example.org> Where?\n\nHere",
          **{"m.relates_to": {"m.in_reply_to": {"event_id": "$2"}}}),
    text(5, "* Where then?", **{"m.new_content": {"msgtype": "m.text", "body": "Where then?"},
                                "m.relates_to": {"rel_type": "m.replace", "event_id": "$2"}}),
    text(6, "gone"),
    {**event(7, "m.room.redaction"), "redacts": "$6"},
    event(8),
    event(9, "m.room.encrypted", algorithm="m.megolm.v1.aes-sha2", ciphertext="x"),
    event(10, "m.reaction"),
    event(11, msgtype="m.image", body="a caption", filename="map.jpg"),
    event(12, msgtype="m.notice", body="I am a bot"),
    event(13, msgtype="m.image", body="map.jpg"),
]  # fmt: skip


def read(content: str) -> list[ChatMessage]:
    export = open_chat_text(content)
    assert export.format == "matrix"
    return list(export.messages())


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(EVENTS),
        "\n".join(map(json.dumps, EVENTS)),
        json.dumps(
            {"room_name": "Hikers", "room_creator": "@ana:example.org", "topic": "", "messages": EVENTS}
        ),
        json.dumps({"start": "a", "end": "b", "chunk": EVENTS[::-1]}),  # /messages with dir=b
        json.dumps({"start": "a", "end": "b", "chunk": EVENTS}),  # /messages with dir=f
        json.dumps(
            {
                "events_after": EVENTS[9:],
                "event": EVENTS[8],
                "events_before": EVENTS[1:8][::-1],
                "state": EVENTS[:1],
            }
        ),
        json.dumps({"chunk": EVENTS[:0:-1], "state": EVENTS[:1]}),
        json.dumps(
            {"rooms": {"join": {"!r:example.org": {"timeline": {"events": EVENTS, "limited": True}}}}}
        ),
    ],
)
def test_every_place_that_events_come_from(content: str) -> None:
    messages = read(content)
    assert messages[1].sender_id == "@ana:example.org"
    assert (messages[1].sender, messages[1].time, messages[1].id) == (
        "Ana",
        "2024-03-01T14:05:33+00:00",
        "$2",
    )
    assert [(m.kind, m.text, m.attachment) for m in messages] == [
        ("system", "", None),
        ("text", "Where?", None),
        ("voice", "", "Voice message.ogg"),
        ("text", "Here", None),
        ("text", "Where then?", None),
        ("text", "gone", None),
        ("deleted", "", None),
        ("deleted", "", None),
        ("other", "", None),
        ("system", "", None),
        ("image", "a caption", "map.jpg"),
        ("system", "I am a bot", None),
        ("image", "", "map.jpg"),
    ]
    context = build_context(messages)
    assert [(turn.speaker, turn.text) for turn in context.turns] == [
        ("Ana", "Where then?"), ("ben", "Here"), ("Ana", "a caption")
    ]  # fmt: skip


def test_the_event_of_a_context_is_in_its_place() -> None:
    before, after = [text(2, "b"), text(1, "a")], [text(4, "d")]
    answer = {"event": EVENTS[2], "events_after": after, "events_before": before, "start": "s", "end": "e"}
    messages = read(json.dumps(answer))
    assert [m.text or m.kind for m in messages] == ["a", "b", "voice", "d"]
    context = build_context(messages, audio="Voice message.wav")
    assert ([turn.text for turn in context.turns], context.target) == (["a", "b"], "ana")
    # the note that somebody asked for, in a room where nothing was said before it
    (lone,) = read(json.dumps({"event": EVENTS[2], "events_before": [], "events_after": []}))
    assert lone.kind == "voice"


def test_rooms() -> None:
    named = {**event(20, "m.room.name", name="Hikers"), "state_key": ""}
    rooms = {"!a:x": {"state": {"events": [named]}, "timeline": {"events": [text(1, "a")]}},
             "!b:x": {"timeline": {"events": [text(2, "b")]}}}  # fmt: skip
    messages = read(json.dumps({"next_batch": "s", "rooms": {"join": rooms, "invite": {}}}))
    assert [(m.chat_id, m.chat, m.text) for m in messages if m.spoken] == [
        ("!a:x", "Hikers", "a"), ("!b:x", None, "b")
    ]  # fmt: skip
