"""A messenger's server on the loopback address, for tests: people write to it, and see what the bot answers."""

from __future__ import annotations

import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from cse.bots import wording

Call = TypeVar("Call")


class Answer(Protocol):
    """What a bot said to a chat, as people see it."""

    @property
    def words(self) -> str:
        """The text or the caption."""
        ...

    @property
    def voice(self) -> bytes | None:
        """The voice message or file, encoded."""
        ...

    @property
    def reply_to(self) -> Any:
        """The message to which it replies."""
        ...

    @property
    def button(self) -> str | None:
        """What its button is known by."""
        ...

    @property
    def duration_s(self) -> float | None:
        """Of the voice message, as announced."""
        ...

    @property
    def time_s(self) -> float:
        """When, on a clock that only goes forward."""
        ...


@dataclass
class Stored:
    """A file that people sent.

    Attributes:
        content: Of it.
        breaks: How many downloads of it break off.
        slow_s: How long each takes.
        unsized: Whether its size is not known.
        fetched: How many were begun.
    """

    content: bytes
    breaks: int = 0
    slow_s: float = 0.0
    unsized: bool = False
    fetched: int = 0

    def download(self) -> Response:
        """The file, or the beginning of it."""
        if self.breaks <= 0:
            return Response(self.content)
        self.breaks -= 1

        async def beginning() -> AsyncIterator[bytes]:
            yield self.content[: len(self.content) // 2]

        return StreamingResponse(beginning(), headers={"Content-Length": str(len(self.content))})


@dataclass
class Refusal:
    """How calls of one method for one chat are refused: as often, with this error."""

    times: int
    code: int
    description: str
    parameters: dict[str, Any] = field(default_factory=dict)


class FakeMessenger(ABC):
    """The server, from its start to its end; a context manager.

    Args:
        routes: What it serves.

    Attributes:
        name: Of the messenger, as `cse bot` knows it.
        token: Of the bot.
        token_variable: In which the bot looks for it.
        url: Where it is.
    """

    name: ClassVar[str]
    token: ClassVar[str]
    token_variable: ClassVar[str]
    prefix: ClassVar[str] = "/"
    url: str

    def __init__(self, routes: Sequence[Route]) -> None:
        self._numbers = itertools.count(1)
        self._refusals: dict[tuple[str, Any], Refusal] = {}
        config = uvicorn.Config(
            Starlette(routes=routes), port=0, log_config=None, log_level="critical", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_until(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()

    @property
    @abstractmethod
    def connection(self) -> dict[str, Any]:
        """What a bot needs to know to find it."""

    @abstractmethod
    def command(self, chat: int, text: str, *, reply_to: Any = None, sender: str = "Ana") -> Any:
        """Somebody types a command, here written with a slash; returns the message."""

    @abstractmethod
    def answers(self, chat: int) -> Sequence[Answer]:
        """What the bot has sent to a chat."""

    @abstractmethod
    def ask_to_wait(self, chat: int, wait_s: float) -> None:
        """Refuse the next voice of the bot for so long."""

    @abstractmethod
    def cut_off(self) -> None:
        """Do not answer the bot when it next asks what happened, and wait until it did."""

    @abstractmethod
    def block(self, chat: int) -> None:
        """Somebody wants nothing more of the bot, as it hears when it next says something; wait until it did."""

    @abstractmethod
    def remove(self, chat: int) -> None:
        """Somebody removes the bot from a chat."""

    def written(self, text: str) -> str:
        """The bot's words, with commands as people type them here."""
        return wording.with_prefix(text, self.prefix)

    def refuse(
        self, method: str, chat: Any, *, times: int, code: int, description: str, **parameters: Any
    ) -> None:
        """Refuse the next calls of a method for a chat (0 where it is not for one)."""
        self._refusals[method, chat] = Refusal(times, code, description, parameters)

    def refused(self, method: str, chat: Any) -> bool:
        """Whether all calls that were to be refused have been."""
        return self._refusals[method, chat].times == 0

    def settle(self, chat: int) -> list[Answer]:
        """All answers of a chat, when everything before was done: what is answered last comes last."""
        last = self.command(chat, "/help")
        self.wait_until(lambda: any(answer.reply_to == last for answer in self.answers(chat)))
        return [answer for answer in self.answers(chat) if answer.words != self.written(wording.HELP)]

    def wait_for(self, chat: int, count: int, *, limit_s: float = 60.0) -> Sequence[Answer]:
        """Wait until the bot has sent so many messages to a chat.

        Raises:
            TimeoutError: It did not.
        """
        self.wait_until(lambda: len(self.answers(chat)) >= count, limit_s=limit_s)
        return self.answers(chat)

    def wait_until(self, condition: Callable[[], object], *, limit_s: float = 60.0) -> None:
        """Wait until something is true.

        Raises:
            TimeoutError: It did not come true.
        """
        end_s = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end_s:
                raise TimeoutError(f"waited for {limit_s:g} s in vain")
            time.sleep(0.02)

    def _refusal(self, method: str, chat: Any) -> Refusal | None:
        """How a call is refused, if it is."""
        refusal = self._refusals.get((method, chat))
        if refusal is None or refusal.times <= 0:
            return None
        refusal.times -= 1
        return refusal
