"""How the bot on Matrix begins and ends: whose invitations it accepts, whose token it has, what it finishes."""

from __future__ import annotations

import asyncio

import pytest

from cse.bots.messenger import LostError
from cse.errors import ConfigError
from cse.testing.running_service import tones

NOTE = tones(suffix=".ogg")
SURE = "Very likely (86 %) the voice that continues this chat, of 2 that I hear."


@pytest.fixture
def own(matrix_extra):
    from cse.testing.fake_matrix import FakeMatrix

    with FakeMatrix() as server:
        yield server


def test_from_its_start_to_its_end(own):
    from cse.testing.running_bot import RunningBot

    before = 1
    own.command(before, "/start")
    own.voice_note(before, NOTE)
    connection = {"invited_by": ["fake.example", "@ana:elsewhere.example"]}
    with RunningBot(own, connection=connection, limits={"threads": 1, "shutdown_limit_s": 30}) as bot:
        bot.wait_until_ready()
        own.invite(2, server="not-known.example")
        own.wait_until(lambda: own.membership(2) == "leave")
        own.invite(3)
        own.wait_for(3, 1)
        assert own.joined == ["!3:fake.example"]

        own.command(3, "/start")
        own.wait_for(3, 2)
        slow = own.voice_note(3, NOTE, sender="slow:2")
        notes = [slow, own.voice_note(3, NOTE)]
        own.wait_until(lambda: own.file_of(3, slow).fetched)
        bot.terminate()
        bot.wait_for_line("shutting down")
        own.voice_note(3, NOTE)
        assert bot.wait() == 0
    answers = own.answers(3)[2:]
    assert [(answer.words, answer.reply_to) for answer in answers] == [(SURE, note) for note in notes]
    assert own.answers(before) == [], "that was said before the bot was there"
    assert own.answers(2) == []


def test_a_token_that_is_revoked_ends_it_with_one_line(own):
    from cse.testing.running_bot import RunningBot

    with RunningBot(own, limits={"threads": 1}) as bot:
        bot.wait_until_ready()
        own.token = "another"
        assert bot.wait() == 1
    assert "it was revoked" in bot.log[-1]
    assert not any("fake-token" in line for line in bot.log)


def check(server, *, patience_s=5.0, **changes):
    from cse.bots.matrix.connection import Connection
    from cse.bots.matrix.homeserver import Homeserver

    async def ask():
        homeserver = Homeserver(
            Connection(**{"token": server.token, **server.connection, **changes}), patience_s=patience_s
        )
        try:
            await homeserver.check()
        finally:
            await homeserver.close()

    asyncio.run(ask())


def test_token_user_and_address_have_to_be_right(own):
    check(own)
    with pytest.raises(ConfigError, match="does not know it") as caught:
        check(own, token="a-token-that-was-logged-out")
    assert "logged-out" not in str(caught.value).replace("was not logged out", "")
    with pytest.raises(ConfigError, match="another user's"):
        check(own, user="@other:fake.example")
    with pytest.raises(LostError):
        check(own, homeserver="http://127.0.0.1:1", patience_s=0.1)
