"""The Telegram bot in a process of its own, with a tiny model: `python -m cse.testing.running_bot OPTIONS`.

Its extractors do what the name of the person who sent the voice note says (`cse.testing.serving`): `unsure` abstains,
and so does `expects:A|B` if the texts before the voice note are not A and B. Who knows how the sender sounds is surer.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import Any

from cse.errors import CseError, one_line
from cse.extraction import Extraction
from cse.testing.fake_telegram import TOKEN, FakeTelegram
from cse.testing.running_process import RunningProcess
from cse.testing.serving import ObedientExtractor, told_extractor_for

_SURE_WITH_SAMPLE = 0.97


class BotExtractor(ObedientExtractor):
    """Does what the sender's name says."""

    def extract(
        self, audio: Any, history: Any = None, *, target: str | None = None, **options: Any
    ) -> Extraction:
        """See `cse.extractor.Extractor.extract`."""
        result = super().extract(audio, history, target=target, **options)
        order, _, texts = (target or "").partition(":")
        if order == "expects" and [turn.text for turn in history] != texts.split("|"):
            return replace(result, abstained=True, probability=0.01)
        if order == "unsure":
            return replace(result, abstained=True, probability=0.41)
        if options["enrollment"] is not None:
            return replace(result, probability=_SURE_WITH_SAMPLE)
        return result


def load() -> BotExtractor:
    """What the workers load."""
    told = told_extractor_for("")
    return BotExtractor(method=told.method, name=told.name)


class RunningBot(RunningProcess):
    """A bot that talks to a fake Telegram, from its start to its end.

    Args:
        telegram: To which it talks.
        webhook_port: On which it listens; None asks for updates.
        token: Of the bot.
        limits: Of `cse.service.settings.Settings`.
        **kept: Of `cse.bots.settings.BotSettings`.
    """

    def __init__(
        self,
        telegram: FakeTelegram,
        *,
        webhook_port: int | None = None,
        limits: dict[str, Any] | None = None,
        token: str = TOKEN,
        **kept: Any,
    ) -> None:
        options = {
            "api_url": telegram.url,
            "webhook_port": webhook_port,
            "limits": limits or {},
            "kept": {"patience_s": 5.0, **kept},
        }
        super().__init__("cse.testing.running_bot", json.dumps(options), {"CSE_TELEGRAM_TOKEN": token})

    def wait_until_ready(self) -> RunningBot:
        """Wait until it listens."""
        return self.wait_for_line("listening to Telegram")

    def wait_for_line(self, words: str, *, limit_s: float = 120.0) -> RunningBot:
        """Wait until it has written a line with these words.

        Raises:
            TimeoutError: It did not.
        """
        end_s = time.monotonic() + limit_s
        while not any(words in line for line in self.log):
            if self._process.poll() is not None or time.monotonic() > end_s:
                raise TimeoutError(f"the bot says {self.log[-5:]}")
            time.sleep(0.05)
        return self


def main() -> None:
    """Be a bot with the settings given as JSON."""
    from cse.bots.settings import BotSettings
    from cse.bots.telegram.connection import Connection, Webhook, read_token
    from cse.bots.telegram.runner import run
    from cse.service.settings import Settings

    options = json.loads(sys.argv[1])
    port = options["webhook_port"]
    webhook = None if port is None else Webhook(url=f"http://127.0.0.1:{port}/updates", port=port)
    connection = Connection(token=read_token(None), api_url=options["api_url"], webhook=webhook)
    try:
        run(connection, BotSettings(**options["kept"]), Settings(**options["limits"]), load)
    except CseError as error:
        sys.exit(one_line(error))


if __name__ == "__main__":
    # under its own name, so that worker processes find `load`
    from cse.testing import running_bot

    running_bot.main()
