"""A bot with narrow limits and a fake server for each messenger; each test has chats of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cse.testing.fake_matrix import FakeMatrix
    from cse.testing.fake_messenger import FakeMessenger
    from cse.testing.fake_telegram import FakeTelegram
    from cse.testing.running_bot import RunningBot

LIMITS = {"workers": 2, "threads": 1, "time_limit_s": 8.0, "stop_grace_s": 0.5, "max_duration_s": 20.0}
KEPT = {"max_file_mb": 0.2, "max_queued": 3, "min_sample_probability": 0.8}


@pytest.fixture(scope="session")
def extra() -> None:
    """Skips where the packages of the bot are not installed."""
    for package in ("telegram", "fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        pytest.importorskip(package, reason='needs: pip install "cse[service]"')


@pytest.fixture(scope="session")
def matrix_extra(extra: None) -> None:
    """Skips where those of the bot on Matrix are not."""
    pytest.importorskip("nio", reason='needs: pip install "cse[matrix]"')


@pytest.fixture(scope="session")
def telegram(extra: None) -> Iterator[FakeTelegram]:
    from cse.testing.fake_telegram import FakeTelegram

    with FakeTelegram() as server:
        yield server


@pytest.fixture(scope="session")
def matrix(matrix_extra: None) -> Iterator[FakeMatrix]:
    from cse.testing.fake_matrix import FakeMatrix

    with FakeMatrix() as server:
        yield server


@pytest.fixture(scope="session")
def telegram_bot(telegram: FakeTelegram) -> Iterator[RunningBot]:
    yield from _running(telegram)


@pytest.fixture(scope="session")
def matrix_bot(matrix: FakeMatrix) -> Iterator[RunningBot]:
    yield from _running(matrix)


def _running(messenger: FakeMessenger) -> Iterator[RunningBot]:
    from cse.testing.running_bot import RunningBot

    with RunningBot(messenger, limits=LIMITS, **KEPT) as running:
        yield running.wait_until_ready()


@pytest.fixture(params=["telegram", "matrix"])
def messenger(request: pytest.FixtureRequest) -> FakeMessenger:
    """Every messenger; a module about one of them has its own fixture of this name."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def bot(request: pytest.FixtureRequest, messenger: FakeMessenger) -> RunningBot:
    return request.getfixturevalue(f"{messenger.name}_bot")


_numbers = itertools.count(7_000_000_001)  # as long as real ones: nothing else in a log looks like them


@pytest.fixture
def started(messenger: FakeMessenger, bot: RunningBot) -> Callable[..., int]:
    """Makes a chat in which /start was typed and answered."""

    def start(*, group: bool = False) -> int:
        chat = next(_numbers) * (-1 if group else 1)
        messenger.command(chat, "/start")
        messenger.wait_for(chat, 1)
        return chat

    return start


@pytest.fixture
def fresh(bot: RunningBot) -> Callable[..., int]:
    """Makes a chat in which nothing happened yet."""
    return lambda *, group=False: next(_numbers) * (-1 if group else 1)
