"""Telegram's Bot API on the loopback address, for tests; see `cse.testing.fake_messenger`."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import requests
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cse.testing.fake_messenger import FakeMessenger, Stored
from cse.testing.telegram_calls import Sent, sent

TOKEN = "4242:fake-token-of-a-bot-that-nobody-has"
BOT = {"id": 4242, "is_bot": True, "first_name": "Voices", "username": "voices_bot"}
_LONGEST_POLL_S = 0.3
_SENDING = frozenset({"sendMessage", "sendVoice", "sendDocument"})


class FakeTelegram(FakeMessenger):
    """The Bot API.

    Args:
        sees_all: Whether the bot's privacy mode is off.

    Attributes:
        calls: What the bot did, in order.
        webhook: What the bot said about its webhook, if it has one.
        webhook_answers: The status of each update that was sent to the webhook.
    """

    name = "telegram"
    token = TOKEN
    token_variable = "CSE_TELEGRAM_TOKEN"

    def __init__(self, *, sees_all: bool = True) -> None:
        super().__init__(
            [
                Route("/bot{token}/{method}", self._call, methods=["GET", "POST"]),
                Route("/file/bot{token}/{path:path}", self._download),
            ]
        )
        self.calls: list[Sent] = []
        self.webhook: dict[str, Any] | None = None
        self.webhook_answers: list[int] = []
        self._sees_all = sees_all
        self._updates: list[dict[str, Any]] = []
        self._pending: list[dict[str, Any]] = []  # not confirmed by the bot yet
        self._messages: dict[tuple[int, int], dict[str, Any]] = {}
        self._files: dict[str, Stored] = {}

    @property
    def connection(self) -> dict[str, Any]:
        """What a bot needs to know to find it."""
        return {"api_url": self.url}

    def say(
        self, chat: int, text: str, *, sender: str = "Ana", edits: int | None = None, **fields: Any
    ) -> int:
        """Somebody writes a message, or corrects one; returns its number."""
        return self._message(chat, sender, {"text": text, **fields}, edits=edits)

    def command(self, chat: int, text: str, *, reply_to: int | None = None, sender: str = "Ana") -> int:
        """Somebody types a command."""
        entities = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
        fields: dict[str, Any] = {"text": text, "entities": entities}
        if reply_to is not None:
            fields["reply_to_message"] = self._find(chat, reply_to)
        return self._message(chat, sender, fields)

    def voice_note(
        self,
        chat: int,
        content: bytes,
        *,
        sender: str = "Ben",
        size: int | None = None,
        duration_s: int = 1,
        breaks: int = 0,
        slow_s: float = 0.0,
        unsized: bool = False,
        hidden: bool = False,
        kind: str = "voice",
        **fields: Any,
    ) -> int:
        """Somebody sends a voice note.

        Args:
            chat: Where.
            content: The file.
            sender: Who.
            size: In bytes, as announced; None is the true one.
            duration_s: As announced.
            breaks: How many downloads break off.
            slow_s: How long a download takes.
            unsized: Whether its size is never announced.
            hidden: Whether the bot is not told.
            kind: E.g. audio or video_note instead.
            **fields: More of the message.
        """
        file = f"file-{next(self._numbers)}"
        self._files[file] = Stored(content, breaks=breaks, slow_s=slow_s, unsized=unsized)
        voice: dict[str, Any] = {
            "file_id": file,
            "file_unique_id": f"unique-{file}",
            "duration": duration_s,
            "mime_type": "audio/ogg",
        }
        if not unsized:
            voice["file_size"] = len(content) if size is None else size
        if kind == "video_note":
            voice["length"] = 240
        return self._message(chat, sender, {kind: voice, **fields}, hidden=hidden)

    def press(self, chat: int, sent: Sent) -> None:
        """Somebody presses the button below a message of the bot."""
        message = self._dress(chat, "", {"text": sent.words}, sent.message_id)
        self.update(
            callback_query={
                "id": str(next(self._numbers)),
                "from": _person("Ana"),
                "chat_instance": "1",
                "message": {**message, "from": BOT},
                "data": sent.button,
            }
        )

    def update(self, **fields: Any) -> int:
        """Anything that happens; returns the number of the update."""
        number = next(self._numbers)
        self.repeat({"update_id": number, **fields})
        return number

    def repeat(self, update: dict[str, Any] | int) -> None:
        """Send an update, maybe once more."""
        if isinstance(update, int):
            update = next(one for one in self._updates if one["update_id"] == update)
        else:
            self._updates.append(update)
        if self.webhook is not None:
            self.webhook_answers.append(self.post(update, self.webhook.get("secret_token")).status_code)
        else:
            self._pending.append(update)

    def post(self, update: Any, secret: str | None) -> requests.Response:
        """Send something to the webhook."""
        assert self.webhook is not None
        headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
        data = update if isinstance(update, bytes) else json.dumps(update).encode()
        return requests.post(self.webhook["url"], data=data, headers=headers, timeout=30)

    def last_update(self) -> int:
        """The number of the last update."""
        return int(self._updates[-1]["update_id"])

    def ask_to_wait(self, chat: int, wait_s: float) -> None:
        """Refuse the next voice of the bot for so long."""
        self.refuse(
            "sendVoice", chat, times=1, code=429, description="Too Many Requests", retry_after=round(wait_s)
        )

    def cut_off(self) -> None:
        """Do not answer the bot when it next asks what happened, and wait until it did."""
        self.refuse("getUpdates", 0, times=1, code=502, description="Bad Gateway")
        self.wait_until(lambda: self.refused("getUpdates", 0))

    def block(self, chat: int) -> None:
        """Somebody wants nothing more of the bot, as it hears when it next says something; wait until it did."""
        self.refuse("sendMessage", chat, times=1, code=403, description="Forbidden: bot was blocked")
        self.command(chat, "/help")
        self.wait_until(lambda: self.refused("sendMessage", chat))

    def remove(self, chat: int) -> None:
        """Somebody removes the bot from a group."""
        self.update(
            my_chat_member={
                "chat": {"id": chat, "type": "supergroup"}, "from": BOT, "date": 1,
                "old_chat_member": {"status": "member", "user": BOT},
                "new_chat_member": {"status": "left", "user": BOT},
            }
        )  # fmt: skip

    def file_of(self, chat: int, message: int) -> Stored:
        """The file of a voice note."""
        return self._files[self._find(chat, message)["voice"]["file_id"]]

    def answers(self, chat: int) -> list[Sent]:
        """What the bot has sent to a chat."""
        return [call for call in self.calls if call.method in _SENDING and call.fields["chat_id"] == chat]

    def wait_for_call(self, method: str, *, count: int = 1, limit_s: float = 60.0) -> list[Sent]:
        """Wait until the bot has called a method so often."""

        def calls() -> list[Sent]:
            return [call for call in self.calls if call.method == method]

        self.wait_until(lambda: len(calls()) >= count, limit_s=limit_s)
        return calls()

    def _message(
        self,
        chat: int,
        sender: str,
        fields: dict[str, Any],
        *,
        edits: int | None = None,
        hidden: bool = False,
    ) -> int:
        number = next(self._numbers) if edits is None else edits
        message = self._dress(chat, sender, fields, number)
        self._messages[chat, number] = message
        if not hidden:
            self.update(**{"message" if edits is None else "edited_message": message})
        return number

    def _dress(self, chat: int, sender: str, fields: dict[str, Any], number: int) -> dict[str, Any]:
        where = {"id": chat, "type": "supergroup" if chat < 0 else "private"}
        where |= {"title": "Friends"} if chat < 0 else {"first_name": "Ana"}
        return {
            "message_id": number,
            "date": int(time.time()),
            "chat": where,
            "from": _person(sender),
            **fields,
        }

    def _find(self, chat: int, number: int) -> dict[str, Any]:
        return self._messages[chat, number]

    async def _call(self, request: Request) -> Response:
        """One call of the bot."""
        method = request.path_params["method"]
        if request.path_params["token"] != TOKEN:
            return _error(401, "Unauthorized")
        async with request.form() as form:
            number = next(self._numbers)
            call = await sent(method, form, message_id=number, time_s=time.monotonic())
        refusal = self._refusal(method, call.fields.get("chat_id", 0))
        if refusal is not None:
            return _error(refusal.code, refusal.description, **refusal.parameters)
        if method == "getUpdates":
            return await self._poll(call)
        self.calls.append(call)
        return _result(self._answer(call))

    def _answer(self, call: Sent) -> Any:
        if call.method == "getMe":
            return {**BOT, "can_read_all_group_messages": self._sees_all, "can_join_groups": True}
        if call.method == "getFile":
            file = self._files[call.fields["file_id"]]
            name = call.fields["file_id"]
            # as for files whose size Telegram does not know
            return {"file_id": name, "file_unique_id": name, "file_path": f"voice/{name}.oga", **_size(file)}
        if call.method == "setWebhook":
            self.webhook = call.fields
        elif call.method == "deleteWebhook":
            self.webhook = None
        elif call.method in _SENDING:
            return self._dress(call.fields["chat_id"], "", {"text": call.words, "from": BOT}, call.message_id)
        return True

    async def _poll(self, call: Sent) -> Response:
        """New updates; those before `offset` have arrived."""
        offset = call.fields.get("offset", 0)
        self._pending = [update for update in self._pending if update["update_id"] >= offset or offset == 0]
        end_s = time.monotonic() + min(_LONGEST_POLL_S, call.fields.get("timeout", 0))
        while not self._pending and time.monotonic() < end_s:
            await asyncio.sleep(0.02)
        return _result(self._pending[: call.fields.get("limit", 100)])

    async def _download(self, request: Request) -> Response:
        """A file, or the beginning of one."""
        if request.path_params["token"] != TOKEN:
            return _error(401, "Unauthorized")
        file = self._files[request.path_params["path"].removeprefix("voice/").removesuffix(".oga")]
        file.fetched += 1
        await asyncio.sleep(file.slow_s)
        return file.download()


def _person(name: str) -> dict[str, Any]:
    return {"id": sum(map(ord, name)), "is_bot": False, "first_name": name}


def _size(file: Stored) -> dict[str, int]:
    return {} if file.unsized else {"file_size": len(file.content)}


def _result(result: Any) -> Response:
    return JSONResponse({"ok": True, "result": result})


def _error(code: int, description: str, **parameters: Any) -> Response:
    body = {"ok": False, "error_code": code, "description": description, "parameters": parameters}
    return JSONResponse(body, status_code=code)
