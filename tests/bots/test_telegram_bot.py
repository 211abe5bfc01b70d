"""What is Telegram's own: buttons that are acknowledged, forwarded words, groups that move, who wants files."""

from __future__ import annotations

import pytest

from cse.bots import wording
from cse.testing.running_service import peak_hz, tones

NOTE = tones(suffix=".ogg")
SURE = "Very likely (86 %) the voice that continues this chat, of 2 that I hear."


@pytest.fixture
def messenger(telegram):
    return telegram


def test_forwarded_words_and_buttons(telegram, started):
    chat = started()
    # people forward what was said elsewhere: it is theirs, not the forwarder's
    cleo = {"type": "hidden_user", "sender_user_name": "Cleo", "date": 1}
    telegram.say(chat, "Shall we eat out?", forward_origin=cleo)
    telegram.voice_note(chat, NOTE, sender="expects:Shall we eat out?")
    voice = telegram.wait_for(chat, 2)[1]
    assert (voice.method, voice.words) == ("sendVoice", SURE)
    removed = len(telegram.wait_for_call("editMessageReplyMarkup", count=0))
    pressed = len(telegram.wait_for_call("answerCallbackQuery", count=0))
    telegram.press(chat, voice)
    telegram.wait_for(chat, 3)
    telegram.wait_for_call("editMessageReplyMarkup", count=removed + 1)
    telegram.press(chat, voice)
    said = telegram.wait_for_call("answerCallbackQuery", count=pressed + 2)
    assert said[-1].fields["text"] == wording.OFFER_GONE


def test_commands_may_name_the_bot(telegram, started):
    group = started(group=True)
    note = telegram.voice_note(group, NOTE, hidden=True)
    telegram.command(group, "/extract@another_bot", reply_to=note)
    assert len(telegram.settle(group)) == 1
    telegram.command(group, "/extract@voices_bot", reply_to=note)
    assert telegram.settle(group)[-1].words == SURE


def test_a_corrected_caption_is_no_other_voice_note(telegram, started):
    chat = started()
    note = telegram.voice_note(chat, NOTE)
    voice = {"file_id": "x", "file_unique_id": "x", "duration": 1}
    telegram.say(chat, "", edits=note, voice=voice, caption="listen")
    assert [answer.words for answer in telegram.settle(chat)[1:]] == [SURE]


def test_another_process_with_the_same_token_is_told_about(telegram, bot, started):
    chat = started()
    telegram.refuse(
        "getUpdates", 0, times=1, code=409, description="Conflict: terminated by other getUpdates"
    )
    telegram.wait_until(lambda: telegram.refused("getUpdates", 0))
    telegram.voice_note(chat, NOTE)
    assert telegram.wait_for(chat, 2)[1].words == SURE
    bot.wait_for_line("another process asks")


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
