"""What bots do in every messenger: each in a process of its own, against a fake server that knows what people do."""

from __future__ import annotations

import time

import pytest

from cse.bots import wording
from cse.testing.running_service import peak_hz, tones

NOTE = tones(suffix=".ogg")
SURE = "Very likely (86 %) the voice that continues this chat, of 2 that I hear."


def test_the_story_of_a_conversation(messenger, fresh):
    chat = fresh()
    messenger.command(chat, "/start")
    welcome = messenger.wait_for(chat, 1)[0].words
    assert "last 50 messages" in welcome and "nothing on disk" in welcome
    assert messenger.written("/stop") in welcome
    messenger.say(chat, "Shall we eat out?", sender="Cleo")
    wrong = messenger.say(chat, "Not today")
    messenger.say(chat, "Yes, where?", edits=wrong)
    note = messenger.voice_note(chat, NOTE, sender="expects:Shall we eat out?|Yes, where?")
    messenger.say(chat, "Good idea")
    voice = messenger.wait_for(chat, 2)[1]
    assert (voice.words, voice.reply_to) == (SURE, note)
    assert peak_hz(voice.voice) == pytest.approx(2500, abs=5)
    assert voice.duration_s == 1

    messenger.press(chat, voice)
    other = messenger.wait_for(chat, 3)[2]
    assert (other.words, other.reply_to, other.button) == ("Voice 2 of 2: unlikely (10 %).", note, None)
    assert peak_hz(other.voice) == pytest.approx(300, abs=5)

    messenger.command(chat, "/status")
    assert "Messages that I keep: 3 of at most 50" in messenger.wait_for(chat, 4)[3].words
    messenger.command(chat, "/stop")
    assert messenger.wait_for(chat, 5)[4].words == messenger.written(wording.STOPPED)
    messenger.voice_note(chat, NOTE)
    assert messenger.wait_for(chat, 6)[5].words == messenger.written(wording.NOT_STARTED)


def test_a_chat_that_did_not_ask_is_left_alone(messenger, fresh):
    alone, group = fresh(), fresh(group=True)
    messenger.say(alone, "secret")
    messenger.voice_note(alone, NOTE)
    assert [answer.words for answer in messenger.settle(alone)] == [messenger.written(wording.NOT_STARTED)]
    note = messenger.voice_note(group, NOTE)
    assert messenger.settle(group) == []
    assert messenger.file_of(group, note).fetched == 0
    messenger.command(group, "/extract", reply_to=note)
    assert messenger.settle(group)[-1].words == messenger.written(wording.NOT_STARTED)
    messenger.command(alone, "/remember on")
    assert messenger.settle(alone)[-1].words == messenger.written(wording.NOT_STARTED)


def test_an_update_that_comes_twice_counts_once(messenger, started):
    chat = started()
    note = messenger.voice_note(chat, NOTE)
    update = messenger.last_update()
    messenger.repeat(update)
    messenger.wait_for(chat, 2)
    messenger.repeat(update)
    assert len(messenger.settle(chat)) == 2
    assert messenger.file_of(chat, note).fetched == 1


def test_size_and_duration_are_looked_at_before_the_download(messenger, started):
    chat = started()
    large = messenger.voice_note(chat, NOTE, size=21 * 2**20)
    long = messenger.voice_note(chat, NOTE, duration_s=21)
    first, second = (answer.words for answer in messenger.wait_for(chat, 3)[1:])
    assert "too large" in first and "0.2 MB" in first
    assert "too long" in second
    assert messenger.file_of(chat, large).fetched == messenger.file_of(chat, long).fetched == 0


def test_what_is_announced_is_not_relied_on(messenger, started):
    chat = started()
    messenger.voice_note(chat, bytes(2**20), size=1000, unsized=True)
    messenger.voice_note(chat, tones(30, suffix=".ogg"), duration_s=1)
    messenger.voice_note(chat, b"no audio at all")
    first, second, third = (answer.words for answer in messenger.wait_for(chat, 4)[1:])
    assert "too large" in first
    assert second == wording.failed("audio_too_long")
    assert third == wording.failed("invalid_audio")


def test_a_download_that_breaks_off_is_tried_again(messenger, started):
    chat = started()
    note = messenger.voice_note(chat, NOTE, breaks=2)
    assert messenger.wait_for(chat, 2)[1].words == SURE
    assert messenger.file_of(chat, note).fetched == 3
    messenger.voice_note(chat, NOTE, breaks=99)
    assert messenger.wait_for(chat, 3)[2].words == wording.UNREACHABLE


def test_the_messenger_may_ask_to_wait(messenger, started):
    chat = started()
    messenger.ask_to_wait(chat, 1)
    messenger.voice_note(chat, NOTE)
    asked_s = time.monotonic()
    answer = messenger.wait_for(chat, 2)[1]
    assert answer.words == SURE and answer.time_s - asked_s > 1
    assert len(messenger.settle(chat)) == 2
    messenger.ask_to_wait(chat, 3600)
    messenger.voice_note(chat, NOTE)
    assert len(messenger.settle(chat)) == 2, "too long to wait for, and no reason to stop answering"


def test_it_goes_on_after_an_outage(messenger, started):
    chat = started()
    messenger.cut_off()
    messenger.voice_note(chat, NOTE)
    assert messenger.wait_for(chat, 2)[1].words == SURE


def test_chats_do_not_wait_for_each_other_and_keep_their_order(messenger, started):
    one, other = started(), started()
    slow = messenger.voice_note(one, NOTE, sender="slow:2")
    quick = messenger.voice_note(one, NOTE)
    messenger.command(one, "/status")
    alone = messenger.voice_note(other, NOTE)
    answers = messenger.wait_for(one, 4)[1:]
    assert [answer.reply_to for answer in answers[:2]] == [slow, quick]
    assert answers[2].words.startswith("Messages that I keep")
    elsewhere = messenger.wait_for(other, 2)[1]
    assert elsewhere.reply_to == alone
    assert elsewhere.time_s < answers[0].time_s


def test_extract_as_a_reply_goes_by_what_was_said_before_it(messenger, started):
    group = started(group=True)
    messenger.say(group, "Where?")
    note = messenger.voice_note(group, NOTE, sender="expects:Where?", hidden=True)
    time.sleep(1.1)  # a chat's clock has seconds
    messenger.say(group, "Ah, there", sender="Cleo")
    messenger.command(group, "/extract", reply_to=note)
    answer = messenger.wait_for(group, 2)[1]
    assert (answer.words, answer.reply_to) == (SURE, note)
    seen = messenger.voice_note(group, NOTE, sender="expects:Where?|Ah, there")
    messenger.wait_for(group, 3)
    messenger.say(group, "Later")
    messenger.command(group, "/extract", reply_to=seen)
    assert [answer.words for answer in messenger.wait_for(group, 4)[2:]] == [SURE, SURE]
    messenger.command(group, "/extract")
    assert messenger.wait_for(group, 5)[4].words == messenger.written(wording.NO_NOTE)


def test_music_and_films_only_when_asked_in_a_group(messenger, started):
    group = started(group=True)
    film = messenger.voice_note(group, NOTE, kind="video_note")
    assert len(messenger.settle(group)) == 1
    messenger.command(group, "/extract", reply_to=film)
    assert messenger.settle(group)[-1].words == SURE


def test_it_abstains_and_says_what_would_help(messenger, started):
    chat = started()
    messenger.voice_note(chat, NOTE, sender="unsure")
    first = messenger.wait_for(chat, 2)[1]
    assert first.voice is None
    assert "rather not guess" in first.words and "41 %" in first.words and "no messages" in first.words
    messenger.press(chat, first)
    voice = messenger.wait_for(chat, 3)[2]
    assert voice.words == "Voice 1 of 2: very likely (86 %)." and voice.button is not None
    messenger.say(chat, "Where?")
    messenger.voice_note(chat, NOTE, sender="silent")
    absent = messenger.wait_for(chat, 4)[3]
    assert "2 voices do not seem" in absent.words and messenger.written("/remember on") in absent.words


def test_voices_are_remembered_where_that_was_asked_for(messenger, started):
    chat = started()
    note = tones(2.5, suffix=".ogg")
    messenger.voice_note(chat, note)
    messenger.command(chat, "/remember on")
    messenger.voice_note(chat, note)
    assert messenger.wait_for(chat, 4)[3].words == SURE, "nothing was learnt before"
    messenger.voice_note(chat, note)
    assert messenger.wait_for(chat, 5)[4].words.startswith("Almost certainly (97 %)")
    messenger.voice_note(chat, note, sender="Dora")
    assert messenger.wait_for(chat, 6)[5].words == SURE, "another sender's voice"
    messenger.command(chat, "/status")
    assert "Voices of senders: 2" in messenger.wait_for(chat, 7)[6].words
    messenger.command(chat, "/remember off")
    messenger.voice_note(chat, note)
    assert [answer.words for answer in messenger.wait_for(chat, 9)[7:]] == [wording.NOT_REMEMBERING, SURE]


def test_mistakes_are_polite_and_the_next_one_works(messenger, bot, started):
    chat = started()
    messenger.say(chat, "words-that-nobody-may-see")
    for order in ("bug", "die"):
        messenger.voice_note(chat, NOTE, sender=order)
    messenger.voice_note(chat, NOTE)
    answers = [answer.words for answer in messenger.wait_for(chat, 4)[1:]]
    assert answers == [wording.MISTAKE, wording.MISTAKE, SURE]
    bot.wait_for_line("KeyError")


def test_work_that_takes_too_long_ends(messenger, started):
    chat = started()
    messenger.voice_note(chat, NOTE, sender="slow:60")
    assert messenger.wait_for(chat, 2)[1].words == wording.failed("time_limit")


def test_a_flood_is_answered_only_so_far(messenger, started):
    chat = started()
    notes = [messenger.voice_note(chat, NOTE, sender="slow:1") for _ in range(5)]
    answers = messenger.wait_for(chat, 6)[1:]
    assert [answer.reply_to for answer in answers] == notes
    assert [answer.words for answer in answers] == [SURE] * 3 + [wording.TOO_MANY] * 2
    messenger.voice_note(chat, NOTE)
    assert messenger.wait_for(chat, 7)[6].words == SURE


def test_stop_forgets_at_once(messenger, started):
    chat = started()
    slow = messenger.voice_note(chat, NOTE, sender="slow:7", breaks=0)
    messenger.voice_note(chat, NOTE)
    messenger.wait_until(lambda: messenger.file_of(chat, slow).fetched)
    before_s = time.monotonic()
    messenger.command(chat, "/stop")
    answers = messenger.wait_for(chat, 2)
    assert answers[1].words == messenger.written(wording.STOPPED) and time.monotonic() - before_s < 5
    messenger.command(chat, "/status")
    assert messenger.settle(chat)[-1].words == messenger.written(wording.NOT_STARTED)
    assert len(messenger.answers(chat)) == 4, "welcome, stopped, not started, help"


def test_a_bot_that_is_not_welcome_forgets(messenger, started):
    blocked, left = started(), started(group=True)
    messenger.block(blocked)
    time.sleep(0.3)  # until the bot has heard that
    messenger.remove(left)
    for chat in (blocked, left):
        messenger.command(chat, "/status")
        assert messenger.wait_for(chat, 2)[1].words == messenger.written(wording.NOT_STARTED)


def test_the_log_holds_nothing_of_anybody(messenger, bot, started):
    chat = started()
    messenger.say(chat, "words-that-nobody-may-see")
    messenger.voice_note(chat, NOTE, sender="bug")
    messenger.wait_for(chat, 2)
    log = "\n".join(bot.log)
    assert "words-that-nobody-may-see" not in log
    assert str(chat) not in log
    assert messenger.token not in log and "fake-token" not in log
