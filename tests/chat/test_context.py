"""Which turns a voice note continues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cse.chat import ChatMessage, build_context
from cse.errors import HistoryError
from cse.history import Turn


def said(text: str, minute: int = 0, sender: str = "Ana", **fields: object) -> ChatMessage:
    return ChatMessage(
        sender.lower(), sender, text, f"2024-03-01T14:{minute:02d}:30", id=str(minute), **fields
    )  # type: ignore[arg-type]


def note(name: str, minute: int, sender: str = "Ben") -> ChatMessage:
    return said("", minute, sender, kind="voice", attachment=name)


CHAT = [
    ChatMessage(None, None, "Ana created the group", "2024-03-01T14:00:00", "system", id="s"),
    said("a", 1),
    note("voice.ogg", 2),
    said("b", 3, "Ben"),
    said("", 4, kind="image", attachment="map.png"),
    said("caption", 5, kind="image", attachment="map.png"),
    said("c", 6),
    note("voice.ogg", 7),
    said("d", 8),
]


def texts(**options: object) -> list[str]:
    return [turn.text for turn in build_context(CHAT, **options).turns]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["a", "b", "caption", "c", "d"]),
        ({"at": "voice.ogg"}, ["a", "b", "caption", "c"]),
        ({"at": CHAT[2]}, ["a"]),
        ({"at": "2"}, ["a"]),
        ({"at": "VOICE.OPUS"}, ["a", "b", "caption", "c"]),
        ({"audio": "voice.wav"}, ["a", "b", "caption", "c"]),
        ({"audio": "other.wav"}, ["a", "b", "caption", "c", "d"]),
        ({"at": "2024-03-01T14:02"}, ["a"]),
        ({"at": "2024-03-01 14:02:30"}, ["a"]),
        ({"at": datetime(2024, 3, 1, 14, 2, 30)}, ["a"]),
        ({"at": "2024-03-01T14:04"}, ["a", "b"]),
        ({"at": "2024-03-01T13:00"}, []),
        ({"at": "2025-03-01T13:00"}, ["a", "b", "caption", "c", "d"]),
        ({"at": "9999-12-31T23:59"}, ["a", "b", "caption", "c", "d"]),
        ({"at": datetime.max}, ["a", "b", "caption", "c", "d"]),
        ({"at": datetime.min}, []),
        ({"max_turns": 2}, ["c", "d"]),
        ({"max_turns": 0}, []),
    ],
)
def test_places(options: dict[str, object], expected: list[str]) -> None:
    assert texts(**options) == expected


def test_a_document_of_the_same_name_is_not_the_note() -> None:
    report = said("", 2, kind="file", attachment="report.pdf")
    chat = [said("a", 1), report, said("b", 3)]
    context = build_context(chat, audio="report.ogg")
    assert (context.note, [turn.text for turn in context.turns]) == (None, ["a", "b"])
    assert build_context(chat, at="report.pdf").note is report
    with pytest.raises(HistoryError, match="got no message with that file name"):
        build_context(chat, at="report.ogg")
    for kind in ("voice", "audio", "video"):
        sent = said("", 2, kind=kind, attachment="report.m4a")
        assert build_context([said("a", 1), sent, said("b", 3)], audio="Report.ogg").note is sent


def test_what_is_said_about_the_rest() -> None:
    context = build_context(CHAT, audio="voice.ogg", max_turns=3)
    assert context.turns == [
        Turn("b", "Ben", "2024-03-01T14:03:30"), Turn("caption", "Ana", "2024-03-01T14:05:30"),
        Turn("c", "Ana", "2024-03-01T14:06:30"),
    ]  # fmt: skip
    assert (context.note, context.target) == (CHAT[7], "Ben")
    assert context.dropped == {"system": 1, "voice": 1, "image": 1, "too long ago": 1, "after the note": 1}


def test_minutes_and_offsets() -> None:
    old = ChatMessage("1", "Ana", "", "2024-03-01T14:02", "voice")
    assert build_context([said("a", 1), old, said("b", 3)], at="2024-03-01T14:02:45").note is old
    aware = ChatMessage("1", "Ana", "", "2024-03-01T14:02:10+00:00", "voice")
    assert build_context([aware], at=datetime(2024, 3, 1, 14, 2, 10, tzinfo=UTC)).note is aware
    east = datetime(2024, 3, 1, 15, 2, 10, tzinfo=timezone(timedelta(hours=1)))
    assert build_context([aware], at=east).note is aware
    assert build_context([aware], at="2024-03-01T14:02").note is aware
    last = ChatMessage("1", "Ana", "", "9999-12-31T23:59", "voice")
    assert build_context([said("a", 1), last], at="9999-12-31T23:59:59").note is last
    with pytest.raises(HistoryError, match="got a time with an offset, expected none"):
        build_context(CHAT, at=datetime(2024, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize("at", ["other.ogg", "99", note("voice.ogg", 9), "2024-99-99T14:02"])
def test_a_note_that_is_not_there(at: str | ChatMessage) -> None:
    with pytest.raises(HistoryError, match="got no message with that file name, id or time"):
        build_context(CHAT, at=at)


def test_several_chats() -> None:
    chats = [said("a", 1, chat_id="1", chat="Hikers"), said("b", 2, chat_id="2", chat="Family")]
    with pytest.raises(HistoryError, match="got several chats, expected one") as caught:
        build_context(chats)
    assert "Hikers" not in str(caught.value)
    for name in ("2", "Family"):
        context = build_context(chats, chat=name)
        assert ([turn.text for turn in context.turns], context.dropped) == (["b"], {"other chat": 1})
    with pytest.raises(HistoryError, match="no chat of that name"):
        build_context(chats, chat="Work")
    with pytest.raises(HistoryError, match="several chats of that name"):
        build_context([*chats, said("c", 3, chat_id="3", chat="Family")], chat="Family")


def test_people_of_one_name_are_told_apart_and_a_person_keeps_one() -> None:
    messages = [
        ChatMessage("1", "Alex", "a"), ChatMessage("2", "Alex", "b"), ChatMessage("1", "Alex 🌸", "c"),
        ChatMessage("3", None, "d"), ChatMessage(None, None, "e"),
    ]  # fmt: skip
    speakers = [turn.speaker for turn in build_context(messages).turns]
    assert speakers == ["Alex", "Alex (2)", "Alex", "3", None]


def test_corrected_and_taken_back() -> None:
    messages = [
        said("a", 1), said("b", 2), said("c", 3),
        said("a!", 4, replaces="1"), said("", 5, kind="deleted", replaces="2"), said("long gone", 6, replaces="0"),
    ]  # fmt: skip
    context = build_context(messages)
    assert [turn.text for turn in context.turns] == ["a!", "c"]
    assert context.dropped == {"corrected": 2, "deleted": 1}
    # a correction that came after the note is not what was read before it
    late = [said("a", 1), note("x.ogg", 2), said("a!", 3, replaces="1")]
    assert [turn.text for turn in build_context(late, at="x.ogg").turns] == ["a"]


def test_a_negative_number_of_turns() -> None:
    with pytest.raises(ValueError, match="max_turns=-1"):
        build_context([], max_turns=-1)
