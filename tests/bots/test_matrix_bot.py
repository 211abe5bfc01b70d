"""What is Matrix's own: invitations, encryption, the past of a room, reactions, what a voice message is made of."""

from __future__ import annotations

import time

import pytest

from cse.bots import wording
from cse.testing.running_service import tones

NOTE = tones(suffix=".ogg")
SURE = "Very likely (86 %) the voice that continues this chat, of 2 that I hear."


@pytest.fixture
def messenger(matrix):
    return matrix


def test_a_voice_message_is_one_for_every_client(matrix, started):
    chat = started()
    note = matrix.voice_note(chat, NOTE)
    said = matrix.wait_for(chat, 2)[1]
    content = said.audio.content
    size = len(said.voice)
    assert content["msgtype"] == "m.audio" and content["org.matrix.msc3245.voice"] == {}
    assert content["info"] == {"mimetype": "audio/ogg", "size": size, "duration": 1000}
    assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": note}}
    file = content["org.matrix.msc1767.file"]
    assert (file["url"], file["size"], file["mimetype"]) == (content["url"], size, "audio/ogg")
    audio = content["org.matrix.msc1767.audio"]
    assert audio["duration"] == 1000
    assert max(audio["waveform"]) == 1024 and min(audio["waveform"]) > 500, "a tone is as loud everywhere"
    assert said.text.content["msgtype"] == "m.notice", "no other bot answers it"


def test_a_reaction_presses_once_and_its_mark_goes(matrix, started):
    chat = started()
    matrix.voice_note(chat, NOTE)
    voice = matrix.wait_for(chat, 2)[1]
    matrix.wait_until(lambda: _mark(matrix, voice))
    matrix.press(chat, voice, symbol="👍")
    assert len(matrix.settle(chat)) == 2
    matrix.press(chat, voice, symbol="▶")
    assert matrix.wait_for(chat, 4)[3].words.startswith("Voice 2 of 2")
    matrix.wait_until(lambda: _mark(matrix, voice).event_id in matrix.redacted)
    matrix.press(chat, voice)
    assert len(matrix.settle(chat)) == 3


def test_a_voice_of_a_room_that_was_forgotten_is_gone(matrix, started):
    chat = started()
    matrix.voice_note(chat, NOTE)
    voice = matrix.wait_for(chat, 2)[1]
    matrix.command(chat, "/stop")
    matrix.wait_for(chat, 3)
    matrix.press(chat, voice)
    assert matrix.wait_for(chat, 4)[3].words == matrix.written(wording.OFFER_GONE)


def test_words_are_corrected_by_who_said_them_and_taken_back_by_anybody_in_charge(matrix, started):
    chat = started()
    first = matrix.say(chat, "Where?")
    second = matrix.say(chat, "There!", sender="Cleo")
    matrix.say(chat, "Nonsense", edits=first, sender="Eve")
    matrix.write(chat, "m.room.redaction", {"redacts": second}, sender="Eve")
    matrix.voice_note(chat, NOTE, sender="expects:Where?")
    assert matrix.wait_for(chat, 2)[1].words == SURE


def test_what_was_taken_back_is_not_extracted(matrix, started):
    chat = started()
    note = matrix.voice_note(chat, NOTE, hidden=True)
    matrix._rooms[f"!{chat}:fake.example"].events[note]["content"] = {}
    matrix.command(chat, "/extract", reply_to=note)
    assert matrix.wait_for(chat, 2)[1].words == matrix.written(wording.NO_NOTE)
    matrix.command(chat, "/extract", reply_to="$nothing")
    assert matrix.wait_for(chat, 3)[2].words == matrix.written(wording.NO_NOTE)


def test_replies_of_old_clients_quote_what_they_answer(matrix, started):
    chat = started()
    note = matrix.voice_note(chat, NOTE, hidden=True)
    quoted = "> <@ben:fake.example> sent a voice message.\n\n!Extract "
    matrix.say(chat, quoted, **{"m.relates_to": {"m.in_reply_to": {"event_id": note}}})
    assert matrix.wait_for(chat, 2)[1].words == SURE


def test_it_goes_where_it_is_invited_and_says_how_to_begin(matrix, fresh):
    chat = fresh()
    room = matrix.invite(chat)
    assert matrix.wait_for(chat, 1)[0].words == matrix.written(wording.NOT_STARTED)
    assert room in matrix.joined
    matrix.command(chat, "/start")
    matrix.voice_note(chat, NOTE)
    assert matrix.wait_for(chat, 3)[2].words == SURE


def test_an_encrypted_room_is_left_with_a_word(matrix, fresh, started):
    invited, later = fresh(), started()
    matrix.invite(invited, encrypted=True)
    matrix.encrypt(later)
    for chat, before in ((invited, 0), (later, 1)):
        assert matrix.wait_for(chat, before + 1)[before].words == wording.ENCRYPTED
        matrix.wait_until(lambda chat=chat: matrix.membership(chat) == "leave")
        assert len(matrix.answers(chat)) == before + 1


def test_an_answer_that_got_lost_is_not_sent_twice(matrix, started):
    chat = started()
    room = f"!{chat}:fake.example"
    matrix.refuse("answer to m.audio", room, times=1, code=502, description="")
    matrix.voice_note(chat, NOTE)
    assert matrix.wait_for(chat, 2)[1].words == SURE
    assert matrix.refused("answer to m.audio", room)
    assert sum(event.content.get("msgtype") == "m.audio" for event in matrix.sent if event.room == room) == 1


def test_downloads_wait_as_long_as_they_are_asked_to(matrix, started):
    chat = started()
    note = matrix.voice_note(chat, NOTE, hidden=True)
    file = matrix._rooms[f"!{chat}:fake.example"].events[note]["content"]["url"].rpartition("/")[2]
    matrix.refuse("download", file, times=2, code=429, description="")
    asked_s = time.monotonic()
    matrix.command(chat, "/extract", reply_to=note)
    assert matrix.wait_for(chat, 2)[1].words == SURE
    assert time.monotonic() - asked_s > 2


def test_events_of_no_known_form_are_left_out(matrix, bot, started):
    chat = started()
    for content in (
        {},
        {"msgtype": "m.text", "body": ["words-that-nobody-may-see"]},
        {"msgtype": 5, "body": []},
        {"msgtype": "m.audio", "body": "x", "info": 7, "url": {}},
    ):
        matrix.write(chat, "m.room.message", content, sender="Eve")
    matrix.write(chat, "m.reaction", {"m.relates_to": []}, sender="Eve")
    matrix.write(
        chat, "m.room.member", {"membership": "join", "displayname": []}, sender="Eve", state_key="@e:x"
    )
    matrix.voice_note(chat, NOTE, url="mxc://fake.example/../../secrets")
    assert matrix.settle(chat)[-1].words == wording.UNREACHABLE
    matrix.voice_note(chat, NOTE)
    assert matrix.wait_for(chat, 4)[-1].words == SURE
    assert not any("words-that-nobody-may-see" in line for line in bot.log)


def test_an_answer_that_cannot_be_read_is_left_out(matrix, bot, started):
    chat = started()
    before = _beginnings(matrix)
    matrix.write(
        chat, "m.room.message", {"msgtype": "m.text", "body": "x"}, sender="Eve", origin_server_ts="now"
    )
    bot.wait_for_line("was left out")
    matrix.wait_until(lambda: len(_beginnings(matrix)) > len(before) and "since=" in matrix.syncs[-1])
    matrix.voice_note(chat, NOTE)
    assert matrix.wait_for(chat, 2)[1].words == SURE


def test_the_token_is_in_no_address(matrix, started):
    started()
    assert matrix.syncs and not any(
        matrix.token in query or "access_token" in query for query in matrix.queries
    )


def _mark(matrix, said):
    """The bot's own reaction below its words."""
    marks = [event for event in matrix.sent if event.type == "m.reaction"]
    return next(
        (mark for mark in marks if mark.content["m.relates_to"]["event_id"] == said.text.event_id), None
    )


def _beginnings(matrix):
    """The syncs that do not go on from another one."""
    return [query for query in matrix.syncs if "since=" not in query]
