"""The Telegram bot in a process of its own, against a fake Bot API that asks it for nothing but what people do."""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import pytest
import soundfile

from cse.bots import wording
from cse.testing.running_service import tones

NOTE = tones(suffix=".ogg")
SURE = "Very likely (86 %) the voice that continues this chat, of 2 that I hear."


def peak_hz(audio: bytes) -> float:
    assert audio[:4] == b"OggS" and b"OpusHead" in audio[:100]
    samples, rate = soundfile.read(io.BytesIO(audio))
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples))


def settle(telegram, chat: int) -> list[Any]:
    """All answers of a chat, when everything before was done: what is answered last comes last."""
    last = telegram.command(chat, "/help")
    telegram.wait_until(lambda: any(answer.reply_to == last for answer in telegram.answers(chat)))
    return [answer for answer in telegram.answers(chat) if answer.words != wording.HELP]


def test_the_story_of_a_conversation(telegram, fresh):
    chat = fresh()
    telegram.command(chat, "/start")
    welcome = telegram.wait_for(chat, 1)[0].words
    assert "last 50 messages" in welcome and "nothing on disk" in welcome and "/stop" in welcome
    # people forward what was said elsewhere: it is theirs, not the forwarder's
    cleo = {"type": "hidden_user", "sender_user_name": "Cleo", "date": 1}
    telegram.say(chat, "Shall we eat out?", forward_origin=cleo)
    wrong = telegram.say(chat, "Not today")
    telegram.say(chat, "Yes, where?", edits=wrong)
    note = telegram.voice_note(chat, NOTE, sender="expects:Shall we eat out?|Yes, where?")
    telegram.say(chat, "Good idea")
    voice = telegram.wait_for(chat, 2)[1]
    assert (voice.method, voice.words, voice.reply_to) == ("sendVoice", SURE, note)
    assert peak_hz(voice.voice) == pytest.approx(2500, abs=5)
    assert voice.fields["duration"] == 1

    telegram.press(chat, voice)
    other = telegram.wait_for(chat, 3)[2]
    assert (other.words, other.reply_to, other.button) == ("Voice 2 of 2: unlikely (10 %).", note, None)
    assert peak_hz(other.voice) == pytest.approx(300, abs=5)
    telegram.wait_for_call("editMessageReplyMarkup")
    telegram.press(chat, voice)
    said = telegram.wait_for_call("answerCallbackQuery", count=2)
    assert said[-1].fields["text"] == wording.OFFER_GONE

    telegram.command(chat, "/status")
    assert "Messages that I keep: 3 of at most 50" in telegram.wait_for(chat, 4)[3].words
    telegram.command(chat, "/stop")
    assert telegram.wait_for(chat, 5)[4].words == wording.STOPPED
    telegram.voice_note(chat, NOTE)
    assert telegram.wait_for(chat, 6)[5].words == wording.NOT_STARTED


def test_a_chat_that_did_not_ask_is_left_alone(telegram, fresh):
    alone, group = fresh(), fresh(group=True)
    telegram.say(alone, "secret")
    telegram.voice_note(alone, NOTE)
    assert [answer.words for answer in settle(telegram, alone)] == [wording.NOT_STARTED]
    note = telegram.voice_note(group, NOTE)
    assert settle(telegram, group) == []
    assert telegram.file_of(group, note).fetched == 0
    telegram.command(group, "/extract", reply_to=note)
    assert settle(telegram, group)[-1].words == wording.NOT_STARTED
    telegram.command(alone, "/remember on")
    assert settle(telegram, alone)[-1].words == wording.NOT_STARTED


def test_an_update_that_comes_twice_counts_once(telegram, started):
    chat = started()
    note = telegram.voice_note(chat, NOTE)
    update = telegram.last_update()
    telegram.repeat(update)
    telegram.wait_for(chat, 2)
    telegram.repeat(update)
    assert len(settle(telegram, chat)) == 2
    assert telegram.file_of(chat, note).fetched == 1


def test_a_corrected_caption_is_no_other_voice_note(telegram, started):
    chat = started()
    note = telegram.voice_note(chat, NOTE)
    voice = {"file_id": "x", "file_unique_id": "x", "duration": 1}
    telegram.say(chat, "", edits=note, voice=voice, caption="listen")
    assert [answer.words for answer in settle(telegram, chat)[1:]] == [SURE]


def test_size_and_duration_are_looked_at_before_the_download(telegram, started):
    chat = started()
    large = telegram.voice_note(chat, NOTE, size=21 * 2**20)
    long = telegram.voice_note(chat, NOTE, duration_s=21)
    first, second = (answer.words for answer in telegram.wait_for(chat, 3)[1:])
    assert "too large" in first and "0.2 MB" in first
    assert "too long" in second
    assert telegram.file_of(chat, large).fetched == telegram.file_of(chat, long).fetched == 0


def test_what_is_announced_is_not_relied_on(telegram, started):
    chat = started()
    telegram.voice_note(chat, bytes(2**20), size=1000, unsized=True)
    telegram.voice_note(chat, tones(30, suffix=".ogg"), duration_s=1)
    telegram.voice_note(chat, b"no audio at all")
    first, second, third = (answer.words for answer in telegram.wait_for(chat, 4)[1:])
    assert "too large" in first
    assert second == wording.failed("audio_too_long")
    assert third == wording.failed("invalid_audio")


def test_a_download_that_breaks_off_is_tried_again(telegram, started):
    chat = started()
    note = telegram.voice_note(chat, NOTE, breaks=2)
    assert telegram.wait_for(chat, 2)[1].words == SURE
    assert telegram.file_of(chat, note).fetched == 3
    telegram.voice_note(chat, NOTE, breaks=99)
    assert telegram.wait_for(chat, 3)[2].words == wording.UNREACHABLE


def test_telegram_may_ask_to_wait(telegram, started):
    chat = started()
    telegram.refuse("sendVoice", chat, times=1, code=429, description="Too Many Requests", retry_after=1)
    telegram.voice_note(chat, NOTE)
    asked_s = time.monotonic()
    answer = telegram.wait_for(chat, 2)[1]
    assert answer.words == SURE and answer.time_s - asked_s > 1
    assert len(settle(telegram, chat)) == 2
    telegram.refuse("sendVoice", chat, times=1, code=429, description="Too Many Requests", retry_after=3600)
    telegram.voice_note(chat, NOTE)
    assert len(settle(telegram, chat)) == 2, "too long to wait for, and no reason to stop answering"


def test_polling_goes_on_after_an_outage(telegram, bot, started):
    chat = started()
    telegram.refuse("getUpdates", 0, times=1, code=502, description="Bad Gateway")
    telegram.wait_until(lambda: telegram.refused("getUpdates", 0))
    telegram.refuse(
        "getUpdates", 0, times=1, code=409, description="Conflict: terminated by other getUpdates"
    )
    telegram.wait_until(lambda: telegram.refused("getUpdates", 0))
    telegram.voice_note(chat, NOTE)
    assert telegram.wait_for(chat, 2)[1].words == SURE
    bot.wait_for_line("another process asks")


def test_chats_do_not_wait_for_each_other_and_keep_their_order(telegram, started):
    one, other = started(), started()
    slow = telegram.voice_note(one, NOTE, sender="slow:2")
    quick = telegram.voice_note(one, NOTE)
    telegram.command(one, "/status")
    alone = telegram.voice_note(other, NOTE)
    answers = telegram.wait_for(one, 4)[1:]
    assert [answer.reply_to for answer in answers[:2]] == [slow, quick]
    assert answers[2].words.startswith("Messages that I keep")
    elsewhere = telegram.wait_for(other, 2)[1]
    assert elsewhere.reply_to == alone
    assert elsewhere.time_s < answers[0].time_s


def test_extract_as_a_reply_goes_by_what_was_said_before_it(telegram, started):
    group = started(group=True)
    telegram.say(group, "Where?")
    note = telegram.voice_note(group, NOTE, sender="expects:Where?", hidden=True)
    time.sleep(1.1)  # a chat's clock has seconds
    telegram.say(group, "Ah, there", sender="Cleo")
    telegram.command(group, "/extract@voices_bot", reply_to=note)
    answer = telegram.wait_for(group, 2)[1]
    assert (answer.words, answer.reply_to) == (SURE, note)
    seen = telegram.voice_note(group, NOTE, sender="expects:Where?|Ah, there")
    telegram.wait_for(group, 3)
    telegram.say(group, "Later")
    telegram.command(group, "/extract", reply_to=seen)
    assert [answer.words for answer in telegram.wait_for(group, 4)[2:]] == [SURE, SURE]
    telegram.command(group, "/extract")
    assert telegram.wait_for(group, 5)[4].words == wording.NO_NOTE
    telegram.command(group, "/extract@another_bot", reply_to=seen)
    assert len(settle(telegram, group)) == 5


def test_music_and_films_only_when_asked_in_a_group(telegram, started):
    group = started(group=True)
    film = telegram.voice_note(group, NOTE, kind="video_note")
    assert len(settle(telegram, group)) == 1
    telegram.command(group, "/extract", reply_to=film)
    assert settle(telegram, group)[-1].words == SURE


def test_it_abstains_and_says_what_would_help(telegram, started):
    chat = started()
    telegram.voice_note(chat, NOTE, sender="unsure")
    first = telegram.wait_for(chat, 2)[1]
    assert first.method == "sendMessage"
    assert "rather not guess" in first.words and "41 %" in first.words and "no messages" in first.words
    telegram.press(chat, first)
    voice = telegram.wait_for(chat, 3)[2]
    assert voice.words == "Voice 1 of 2: very likely (86 %)." and voice.button is not None
    telegram.say(chat, "Where?")
    telegram.voice_note(chat, NOTE, sender="silent")
    absent = telegram.wait_for(chat, 4)[3]
    assert "2 voices do not seem" in absent.words and "/remember on" in absent.words


def test_voices_are_remembered_where_that_was_asked_for(telegram, started):
    chat = started()
    note = tones(2.5, suffix=".ogg")
    telegram.voice_note(chat, note)
    telegram.command(chat, "/remember on")
    telegram.voice_note(chat, note)
    assert telegram.wait_for(chat, 4)[3].words == SURE, "nothing was learnt before"
    telegram.voice_note(chat, note)
    assert telegram.wait_for(chat, 5)[4].words.startswith("Almost certainly (97 %)")
    telegram.voice_note(chat, note, sender="Dora")
    assert telegram.wait_for(chat, 6)[5].words == SURE, "another sender's voice"
    telegram.command(chat, "/status")
    assert "Voices of senders: 2" in telegram.wait_for(chat, 7)[6].words
    telegram.command(chat, "/remember off")
    telegram.voice_note(chat, note)
    assert [answer.words for answer in telegram.wait_for(chat, 9)[7:]] == [wording.NOT_REMEMBERING, SURE]


def test_mistakes_are_polite_and_the_next_one_works(telegram, bot, started):
    chat = started()
    telegram.say(chat, "words-that-nobody-may-see")
    for order in ("bug", "die"):
        telegram.voice_note(chat, NOTE, sender=order)
    telegram.voice_note(chat, NOTE)
    answers = [answer.words for answer in telegram.wait_for(chat, 4)[1:]]
    assert answers == [wording.MISTAKE, wording.MISTAKE, SURE]
    bot.wait_for_line("KeyError")


def test_work_that_takes_too_long_ends(telegram, started):
    chat = started()
    telegram.voice_note(chat, NOTE, sender="slow:60")
    assert telegram.wait_for(chat, 2)[1].words == wording.failed("time_limit")


def test_a_flood_is_answered_only_so_far(telegram, started):
    chat = started()
    notes = [telegram.voice_note(chat, NOTE, sender="slow:1") for _ in range(5)]
    answers = telegram.wait_for(chat, 6)[1:]
    assert [answer.reply_to for answer in answers] == notes
    assert [answer.words for answer in answers] == [SURE] * 3 + [wording.TOO_MANY] * 2
    telegram.voice_note(chat, NOTE)
    assert telegram.wait_for(chat, 7)[6].words == SURE


def test_stop_forgets_at_once(telegram, started):
    chat = started()
    telegram.voice_note(chat, NOTE, sender="slow:7", breaks=0)
    telegram.voice_note(chat, NOTE)
    telegram.wait_for_call("getFile")
    before_s = time.monotonic()
    telegram.command(chat, "/stop")
    answers = telegram.wait_for(chat, 2)
    assert answers[1].words == wording.STOPPED and time.monotonic() - before_s < 5
    telegram.command(chat, "/status")
    assert settle(telegram, chat)[-1].words == wording.NOT_STARTED
    assert len(telegram.answers(chat)) == 4, "welcome, stopped, not started, help"


def test_a_bot_that_is_not_welcome_forgets(telegram, started):
    blocked, left = started(), started(group=True)
    telegram.refuse("sendMessage", blocked, times=1, code=403, description="Forbidden: bot was blocked")
    telegram.command(blocked, "/help")
    telegram.wait_until(lambda: telegram.refused("sendMessage", blocked))
    time.sleep(0.3)  # until the bot has heard that
    user = {"id": 4242, "is_bot": True, "first_name": "Voices"}
    telegram.update(
        my_chat_member={
            "chat": {"id": left, "type": "supergroup"}, "from": user, "date": 1,
            "old_chat_member": {"status": "member", "user": user},
            "new_chat_member": {"status": "left", "user": user},
        }
    )  # fmt: skip
    for chat in (blocked, left):
        telegram.command(chat, "/status")
        assert telegram.wait_for(chat, 2)[1].words == wording.NOT_STARTED


def test_a_group_may_get_another_number(telegram, started, fresh):
    old, new = started(group=True), fresh(group=True)
    telegram.say(old, "Where?")
    telegram.say(old, "", migrate_to_chat_id=new)
    telegram.voice_note(new, NOTE, sender="expects:Where?")
    assert telegram.wait_for(new, 1)[0].words == SURE


def test_who_wants_no_voice_messages_gets_a_file(telegram, started):
    chat = started()
    telegram.refuse("sendVoice", chat, times=9, code=400, description="Bad Request: VOICE_MESSAGES_FORBIDDEN")
    telegram.voice_note(chat, NOTE)
    answer = telegram.wait_for(chat, 2)[1]
    assert (answer.method, answer.words) == ("sendDocument", SURE)
    assert peak_hz(answer.voice) == pytest.approx(2500, abs=5)


def test_the_log_holds_nothing_of_anybody(telegram, bot, started):
    chat = started()
    telegram.say(chat, "words-that-nobody-may-see")
    telegram.voice_note(chat, NOTE, sender="bug")
    telegram.wait_for(chat, 2)
    log = "\n".join(bot.log)
    assert "words-that-nobody-may-see" not in log
    assert str(chat) not in log
    assert "fake-token" not in log
