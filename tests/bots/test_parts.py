"""The parts of a bot, without processes: what is kept and for how long, lines, what is said."""

from __future__ import annotations

import asyncio
import re

import pytest

from cse.bots import wording
from cse.bots.answer import answer_to
from cse.bots.chats import Chats
from cse.bots.lines import Lines
from cse.bots.settings import BotSettings
from cse.bots.telegram.connection import read_token
from cse.bots.telegram.incoming import chat_message, note_in
from cse.bots.voices import Offers, Samples, Voice
from cse.chat import ChatMessage
from cse.errors import ConfigError
from cse.service.messages import Message


class Clock:
    """A clock that is moved by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def said(number: int, text: str, *, chat: str = "1", sender: str = "Ana", kind: str = "text", **more):
    time = f"2024-03-01T14:00:{number:02}+00:00"
    return ChatMessage(sender, sender, text, time, kind, id=str(number), chat_id=chat, **more)


def texts(chats: Chats, note: ChatMessage) -> list[str]:
    return [turn.text for turn in chats.context(note).turns]


NOTE = said(50, "", sender="Ben", kind="voice")


def test_only_the_last_messages_of_open_chats_are_kept():
    chats = Chats(settings=BotSettings(max_messages=2, max_characters=3))
    chats.add(said(1, "before"))
    chats.open("1")
    for number in range(2, 6):
        chats.add(said(number, f"{number} and more"))
    chats.add(said(6, "elsewhere", chat="2"))
    chats.add(said(7, "", kind="image"))
    chats.add(said(8, "Ana joined", kind="system"))
    assert texts(chats, NOTE) == ["4 a", "5 a"] and chats.texts("1") == 2 and not chats.is_open("2")


def test_messages_are_forgotten_after_a_while():
    clock = Clock()
    chats = Chats(settings=BotSettings(keep_h=1), clock=clock)
    chats.open("1")
    chats.add(said(1, "old"))
    clock.now_s = 3000
    chats.add(said(2, "new"))
    clock.now_s = 3600
    chats.sweep()
    assert texts(chats, NOTE) == ["new"]


def test_the_quietest_chats_are_forgotten():
    forgotten: list[str] = []
    chats = Chats(settings=BotSettings(max_chats=2), forgotten=forgotten.append)
    chats.open("1")
    chats.open("2")
    chats.add(said(1, "Hi"))
    chats.open("3")
    assert [chats.is_open(chat) for chat in "123"] == [True, False, True]
    assert forgotten == ["2"]


def test_corrections_take_no_place_and_may_come_late():
    chats = Chats(settings=BotSettings(max_messages=2))
    chats.open("1")
    chats.add(said(1, "Wear"))
    chats.add(said(2, "Here"))
    chats.add(said(1, "Where", replaces="1"))
    chats.add(said(0, "long gone", replaces="0"))
    assert texts(chats, NOTE) == ["Where", "Here"]


def test_a_note_of_long_ago_is_continued_by_nothing_after_it():
    chats = Chats(settings=BotSettings())
    chats.open("1")
    for number in (1, 2, 4):
        chats.add(said(number, str(number)))
    hidden = said(3, "", sender="Ben", kind="voice")
    assert texts(chats, hidden) == ["1", "2"]
    assert chats.context(hidden).target == "Ben"


def test_lines_keep_order_and_do_not_wait_for_each_other():
    done: list[str] = []

    async def work(name: str, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        done.append(name)

    async def bug() -> None:
        raise KeyError("words")

    async def main() -> None:
        lines = Lines(max_waiting=3)
        assert lines.put("a", lambda: work("a1", 0.1), counts=True)
        assert lines.put("a", bug)
        assert lines.put("a", lambda: work("a2", 0.0), counts=True)
        assert not lines.put("a", lambda: work("a3", 0.0)), "full"
        lines.put("b", lambda: work("b1", 0.05))
        lines.put("c", lambda: work("never", 0.0))
        lines.cancel("c")
        lines.put("c", lambda: work("c1", 0.0))
        assert lines.counted("a") == 2 and lines.counted("b") == 0
        assert await lines.drain(10)
        assert lines.counted("a") == 0
        lines.put("d", lambda: work("too long", 60))
        assert not await lines.drain(0.05)

    asyncio.run(main())
    assert done == ["c1", "b1", "a1", "a2"]


def test_other_voices_are_held_for_a_while_and_for_their_chat():
    clock = Clock()
    offers = Offers(settings=BotSettings(offer_min=1, max_offers_mb=7 / 2**20), clock=clock)
    voices = [Voice(bytes([number]), 0.5, 1.0) for number in range(3)]
    key = offers.add("1", note="9", voices=voices, first=1)
    second = offers.take(key, chat="1")
    assert (second.number, second.of, second.note) == (2, 3, "9")
    assert offers.take(second.next, chat="1").next is None
    assert offers.take("x:1", chat="1") is None and offers.take("", chat="1") is None
    assert offers.take(f"{key}0", chat="1") is None
    assert offers.add("1", note="9", voices=voices, first=3) is None
    old = offers.add("1", note="9", voices=voices, first=0)
    clock.now_s = 60
    assert offers.take(old, chat="1") is None
    keys = [offers.add("1", note="9", voices=voices, first=0) for _ in range(3)]
    assert offers.take(keys[0], chat="1") is None and len(keys[1]) < 64
    offers.forget("1")
    assert offers.take(keys[2], chat="1") is None


def test_samples_are_of_sure_voices_and_not_too_many():
    samples = Samples(settings=BotSettings(max_samples_mb=9 / 2**20))
    sure = Voice(b"sure", 0.95, 3.0)
    samples.learn("1", "Ana", sure, max_duration_s=60)
    assert samples.sample("1", "Ana") is None, "nobody asked for it"
    samples.want("1")
    for voice in (Voice(b"", 0.8, 3.0), Voice(b"", 0.95, 1.0), Voice(b"", 0.95, 61.0)):
        samples.learn("1", "Ana", voice, max_duration_s=60)
    samples.learn("1", None, sure, max_duration_s=60)
    assert samples.count("1") == 0
    for sender in ("Ana", "Ben", "Cleo"):
        samples.learn("1", sender, sure, max_duration_s=60)
    assert samples.sample("1", "Ana") is None and samples.sample("1", "Ben") == b"sure"
    samples.forget("1")
    assert samples.count("1") == 0 and not samples.wanted("1")


def found(**changes) -> Message:
    header = {
        "talkers": 3, "probability": 0.7, "abstained": False, "target_present": True, "duration_s": 2.0,
        "context_turns": 4, "candidates": [{"probability": 0.1}, {"probability": 0.2}, {"probability": 0.7}],
    }  # fmt: skip
    return Message({**header, **changes}, (b"c", b"a", b"b", b"c"))


def test_what_is_answered():
    sure = answer_to(found(), remembers=False)
    assert sure.text.startswith("Probably (70 %)") and sure.sends_voice
    assert [voice.audio for voice in sure.voices] == [b"c", b"b", b"a"]
    unsure = answer_to(found(abstained=True, probability=0.4), remembers=True)
    assert "40 %" in unsure.text and not unsure.sends_voice and "/remember" not in unsure.text
    absent = answer_to(found(target_present=False, context_turns=0), remembers=False)
    assert "3 voices do not seem" in absent.text and "no messages" in absent.text and absent.worthwhile
    one = answer_to(
        Message({**found().header, "talkers": 1, "candidates": [{"probability": 0.9}]}, (b"c", b"c")),
        remembers=False,
    )
    assert one.text == wording.ONE_VOICE and not one.voices and not one.worthwhile


def test_forwarded_words_are_those_of_who_wrote_them():
    fields = {"message_id": 1, "date": 1, "chat": {"id": 5}, "from": {"id": 6, "first_name": "Ana"}}
    own = chat_message({**fields, "text": "Hi"})
    hidden = chat_message({**fields, "text": "Hi", "forward_origin": {"sender_user_name": "Cleo"}})
    assert own is not None and hidden is not None
    assert (own.sender_id, hidden.sender_id, hidden.sender) == ("6", "Cleo", "Cleo")


@pytest.mark.parametrize(
    ("content", "always", "asked"),
    [
        ({"voice": {"file_id": "x", "duration": 3, "file_size": 9}}, True, True),
        ({"audio": {"file_id": "x", "duration": 3}}, False, True),
        ({"video_note": {"file_id": "x", "duration": 3}}, False, True),
        ({"document": {"file_id": "x", "mime_type": "audio/flac"}}, False, True),
        ({"document": {"file_id": "x", "mime_type": "text/plain"}}, False, False),
        ({"voice": "x"}, False, False),
        ({"voice": {"duration": 3}}, False, False),
        ({"text": "Hi"}, False, False),
    ],
)
def test_what_is_a_voice_note(content, always, asked):
    fields = {"message_id": 1, "date": 1, "chat": {"id": 5}, **content}
    assert (note_in(fields, asked=False) is not None) == always
    assert (note_in(fields, asked=True) is not None) == asked


def test_the_token_is_read_and_never_told(tmp_path, monkeypatch):
    token = "123456:abcdefghijklmnopqrstuvwxyz"
    monkeypatch.setenv("CSE_TELEGRAM_TOKEN", f" {token}\n")
    assert read_token(None) == token
    path = tmp_path / "token"
    path.write_text(f"{token}\n")
    assert read_token(path) == token
    path.write_text("secret words")
    with pytest.raises(ConfigError, match="got something else") as caught:
        read_token(path)
    assert "secret" not in str(caught.value)


def test_commands_are_written_as_each_messenger_wants_them():
    words = [text for text in vars(wording).values() if isinstance(text, str)]
    words += [wording.welcome(BotSettings(), group=True, sees_all=True)]
    words += [wording.absent(2, turns=turns, remembers=False) for turns in (0, 1)]
    for text in words:
        changed = wording.with_prefix(text, "!")
        assert not re.search(r"/(start|stop|status|help|remember|extract)", changed)
        assert changed.replace("!", "/").count("/") == text.replace("!", "/").count("/")


def test_only_who_said_it_corrects_it():
    chats = Chats(settings=BotSettings())
    chats.open("1")
    chats.add(said(1, "Where?"))
    chats.add(said(2, "There!"))
    chats.add(said(1, "Nonsense", sender="Eve", replaces="1"))
    chats.add(said(3, "", sender="Eve", kind="deleted", replaces="2"))
    assert texts(chats, NOTE) == ["Where?"]


@pytest.mark.parametrize(
    ("content", "always", "asked"),
    [
        ({"msgtype": "m.audio", "org.matrix.msc3245.voice": {}}, True, True),
        ({"msgtype": "m.audio"}, False, True),
        ({"msgtype": "m.video"}, False, True),
        ({"msgtype": "m.file", "info": {"mimetype": "audio/flac"}}, False, True),
        ({"msgtype": "m.file", "info": {"mimetype": "text/plain"}}, False, False),
        ({"msgtype": "m.audio", "org.matrix.msc3245.voice": {}, "url": None}, False, False),
        ({"msgtype": "m.text"}, False, False),
    ],
)
def test_what_is_a_voice_note_on_matrix(matrix_extra, content, always, asked):
    from cse.bots.matrix.incoming import chat_message, note_in

    event = {"type": "m.room.message", "event_id": "$1", "sender": "@ana:x", "origin_server_ts": 1}
    event["content"] = {"body": "a.ogg", "url": "mxc://x/y", **content}
    message = chat_message(event, room="!r:x", name=None)
    assert (note_in(event, message, asked=False) is not None) == always
    assert (note_in(event, message, asked=True) is not None) == asked


def test_settings_refuse_what_cannot_work():
    with pytest.raises(ConfigError, match="keep_h"):
        BotSettings(keep_h=0)


def test_welcome_says_all_that_is_kept():
    text = wording.welcome(BotSettings(max_messages=7, keep_h=2), group=False, sees_all=False)
    assert "last 7 messages" in text and "2 hours" in text and "in memory only" in text
    assert "nothing sent elsewhere" in text and "10 minutes" in text
    assert "group" not in text
