"""A bot in a process of its own, with a tiny model: `python -m cse.testing.running_bot OPTIONS`.

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
from cse.testing.fake_messenger import FakeMessenger
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
    """A bot that talks to a fake messenger, from its start to its end.

    Args:
        messenger: To which it talks.
        connection: More of how it does that.
        token: Of the bot, if it is not the right one.
        limits: Of `cse.service.settings.Settings`.
        **kept: Of `cse.bots.settings.BotSettings`.
    """

    def __init__(
        self,
        messenger: FakeMessenger,
        *,
        connection: dict[str, Any] | None = None,
        limits: dict[str, Any] | None = None,
        token: str | None = None,
        **kept: Any,
    ) -> None:
        options = {
            "messenger": messenger.name,
            "connection": {**messenger.connection, **(connection or {})},
            "limits": limits or {},
            "kept": {"patience_s": 5.0, **kept},
        }
        environment = {messenger.token_variable: token or messenger.token}
        super().__init__("cse.testing.running_bot", json.dumps(options), environment)

    def wait_until_ready(self) -> RunningBot:
        """Wait until it listens."""
        return self.wait_for_line("listening to")

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
    from cse.service.settings import Settings

    options = json.loads(sys.argv[1])
    run = {"telegram": _run_telegram, "matrix": _run_matrix}[options["messenger"]]
    try:
        run(options["connection"], BotSettings(**options["kept"]), Settings(**options["limits"]), load)
    except CseError as error:
        sys.exit(one_line(error))


def _run_telegram(connection: dict[str, Any], *run_with: Any) -> None:
    from cse.bots.telegram.connection import Connection, Webhook, read_token
    from cse.bots.telegram.runner import run

    port = connection.get("webhook_port")
    webhook = None if port is None else Webhook(url=f"http://127.0.0.1:{port}/updates", port=port)
    run(Connection(token=read_token(None), api_url=connection["api_url"], webhook=webhook), *run_with)


def _run_matrix(connection: dict[str, Any], *run_with: Any) -> None:
    from cse.bots.matrix.connection import Connection, read_token
    from cse.bots.matrix.runner import run

    invited_by = tuple(connection.pop("invited_by", ()))
    run(Connection(token=read_token(None), invited_by=invited_by, **connection), *run_with)


if __name__ == "__main__":
    # under its own name, so that worker processes find `load`
    from cse.testing import running_bot

    running_bot.main()
