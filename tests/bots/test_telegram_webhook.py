"""The webhook: who may send updates, in what form; and how the bot begins and ends."""

from __future__ import annotations

import socket
import time

import pytest
import requests

from cse.bots import wording
from cse.testing.running_service import tones

NOTE = tones(suffix=".ogg")


@pytest.fixture(scope="module")
def webhook(extra):
    """A bot in privacy mode that is told of updates, and its Telegram."""
    from cse.testing.fake_telegram import FakeTelegram
    from cse.testing.running_bot import RunningBot

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        FakeTelegram(sees_all=False) as telegram,
        RunningBot(
            telegram,
            connection={"webhook_port": port},
            limits={"threads": 1, "max_waiting": 0, "shutdown_limit_s": 30},
        ) as bot,
    ):
        yield telegram, bot.wait_until_ready()


def start(telegram, chat):
    telegram.command(chat, "/start")
    return telegram.wait_for(chat, 1)[0].words


def update(number, text="/start"):
    chat = {"id": 99, "type": "private"}
    entities = [{"type": "bot_command", "offset": 0, "length": len(text)}]
    message = {"message_id": 1, "date": 1, "chat": chat, "text": text, "entities": entities}
    return {"update_id": number, "message": message}


def test_the_bot_says_where_it_is(webhook):
    telegram, _ = webhook
    told = telegram.webhook
    assert len(told["secret_token"]) >= 32
    assert told["max_connections"] == 1
    assert "edited_message" in told["allowed_updates"]


def test_updates_with_the_secret_are_answered(webhook):
    telegram, _ = webhook
    start(telegram, 1)
    note = telegram.voice_note(1, NOTE)
    telegram.repeat(telegram.last_update())
    answer = telegram.wait_for(1, 2)[1]
    assert (answer.method, answer.reply_to) == ("sendVoice", note)
    telegram.command(1, "/help")
    assert telegram.wait_for(1, 3)[2].words == wording.HELP
    assert set(telegram.webhook_answers) == {200}


@pytest.mark.parametrize("secret", [None, "", "wrong", "wrong-\u00e9"])
def test_others_are_turned_away(webhook, secret):
    telegram, _ = webhook
    assert telegram.post(update(10**6), None if secret is None else secret.encode()).status_code == 403
    assert telegram.answers(99) == []


def test_what_is_no_update_is_refused(webhook):
    telegram, _ = webhook
    secret = telegram.webhook["secret_token"]
    assert telegram.post(b"{", secret).status_code == 400
    assert telegram.post([1], secret).status_code == 400
    assert telegram.post({"update_id": "x"}, secret).status_code == 400
    assert telegram.post(b"[" * 100_000, secret).status_code == 400
    assert telegram.post(bytes(2**20 + 1), secret).status_code == 413
    # of a form that is none: it is not sent again for ever
    assert telegram.post({"update_id": 5, "message": {"chat": 7}}, secret).status_code == 200
    address = telegram.webhook["url"]
    assert requests.get(address, timeout=10).status_code == 405
    assert requests.post(f"{address}/other", timeout=10).status_code == 404
    assert start(telegram, 2), "it lives"


def test_in_a_group_it_says_what_privacy_mode_hides(webhook):
    telegram, _ = webhook
    assert "privacy mode" in start(telegram, -3)
    note = telegram.voice_note(-3, NOTE, hidden=True)
    telegram.command(-3, "/extract", reply_to=note)
    assert telegram.wait_for(-3, 2)[1].method == "sendVoice"


def test_who_comes_when_all_places_are_taken_is_told_so(webhook):
    telegram, _ = webhook
    for chat in (5, 6):
        start(telegram, chat)
    telegram.voice_note(5, NOTE, sender="slow:3")
    telegram.wait_until(lambda: any(call.method == "getFile" for call in telegram.calls[-2:]))
    telegram.voice_note(6, NOTE)
    assert telegram.wait_for(6, 2)[1].words == wording.failed("busy")
    assert telegram.wait_for(5, 2)[1].method == "sendVoice"


def test_sigterm_finishes_what_runs_and_takes_nothing_more(webhook):
    telegram, bot = webhook
    start(telegram, 4)
    secret = telegram.webhook["secret_token"]
    notes = [telegram.voice_note(4, NOTE, sender="slow:2"), telegram.voice_note(4, NOTE)]
    bot.terminate()
    bot.wait_for_line("shutting down")
    with_answer = []
    for _ in range(5):  # until it listens no more
        try:
            with_answer.append(telegram.post(update(10**7), secret).status_code)
        except requests.RequestException:
            break
    assert set(with_answer) <= {503}
    assert bot.wait() == 0
    assert [answer.reply_to for answer in telegram.answers(4)[1:]] == notes
    assert telegram.answers(99) == []
    assert telegram.webhook is not None, "updates wait for the next start"


def test_a_wrong_token_is_one_line_without_it(extra):
    from cse.testing.fake_telegram import FakeTelegram
    from cse.testing.running_bot import RunningBot

    token = "123456:a-token-that-was-revoked-long-ago"
    with FakeTelegram() as telegram, RunningBot(telegram, token=token) as bot:
        assert bot.wait() == 1
        time.sleep(0.2)
    assert "Telegram does not know it" in bot.log[-1]
    assert not any("revoked-long-ago" in line for line in bot.log)


def test_a_second_signal_ends_at_once(extra):
    from cse.testing.fake_telegram import FakeTelegram
    from cse.testing.running_bot import RunningBot

    with FakeTelegram() as telegram, RunningBot(telegram, limits={"threads": 1}) as bot:
        bot.wait_until_ready()
        start(telegram, 1)
        telegram.voice_note(1, NOTE, sender="stuck:60")
        telegram.wait_for_call("getFile")
        bot.terminate()
        bot.wait_for_line("shutting down")
        bot.terminate()
        assert bot.wait(10) == 1
